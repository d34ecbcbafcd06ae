"""Losses of the networks: adversarial, feature matching, content, parts."""

import math

import numpy as np
import pytest
import torch
from test_perceptual import toy_state

from neuraltex.core.errors import DataError, ShapeError
from neuraltex.io.meshes import read_mesh
from neuraltex.io.weights import find_vgg_weights
from neuraltex.learn.nets.critic import MultiScaleCritic, PatchCritic
from neuraltex.learn.part_weights import SMPL_PARTS, Part, label_parts, part_l1, weight_map
from neuraltex.losses.adversarial import critic_loss, feature_matching, fooling_loss
from neuraltex.losses.content import WEIGHTS, ContentLoss, load_content_loss
from neuraltex.texture.fill import number_charts


def judgement(logits: list[float], feature: float = 100.0) -> list[list[torch.Tensor]]:
    """One scale per logit, with one layer before it whose values must not matter to logits' losses."""
    return [[torch.full((2, 3, 4, 4), feature), torch.full((2, 1, 2, 2), logit)] for logit in logits]


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("mode", "critic", "fooling"),
    [
        ("bce", softplus(-0.5) + softplus(-2.0), softplus(2.0)),
        ("lsgan", 0.25 + 4.0, 9.0),
        ("hinge", 0.5 + 0.0, 2.0),
    ],
)
def test_adversarial_losses_by_hand(mode, critic, fooling):
    """Real images got 0.5, made ones -2."""
    real, fake = judgement([0.5]), judgement([-2.0])
    assert critic_loss(real, fake, mode).item() == pytest.approx(critic, rel=1e-5)
    assert fooling_loss(fake, mode).item() == pytest.approx(fooling, rel=1e-5)


def test_only_logits_are_judged_and_scales_are_averaged():
    """In the published code one critic's feature maps are all taken for logits."""
    assert fooling_loss(judgement([1.0, 3.0], 7.0), "hinge").item() == pytest.approx(-2)
    assert fooling_loss(judgement([1.0, 3.0], -7.0), "hinge").item() == pytest.approx(-2)


def test_feature_matching_by_hand():
    """Sums layers but the logits, averages scales, and averages over the batch rather than walking along it."""
    real = [[torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)] for _ in range(2)]
    first = torch.zeros(2, 1, 2, 2)
    first[1] = 4.0  # the second image of the batch only
    fake = [[first, torch.full((2, 1, 1, 1), -3.0), torch.full((2, 1, 1, 1), 50.0)], real[1]]
    assert feature_matching(real, fake).item() == pytest.approx((2 + 3) / 2)


def test_feature_matching_leaves_the_real_side_alone():
    real = [[torch.zeros(1, 1, 1, 1, requires_grad=True), torch.zeros(1, 1, 1, 1)]]
    fake = [[torch.ones(1, 1, 1, 1, requires_grad=True), torch.zeros(1, 1, 1, 1)]]
    feature_matching(real, fake).backward()
    assert real[0][0].grad is None
    assert fake[0][0].grad.item() == 1


def test_a_flat_list_of_layers_is_refused():
    flat = [torch.zeros(2, 1, 2, 2)] * 6
    for call in (lambda: fooling_loss(flat), lambda: critic_loss(flat, flat), lambda: feature_matching(flat, flat)):
        with pytest.raises(ShapeError, match="list of scales"):
            call()


@pytest.mark.parametrize("kind", [PatchCritic, MultiScaleCritic])
def test_a_critic_learns_to_tell_and_gradients_reach_the_judged(kind):
    torch.manual_seed(0)
    critic, real = kind(width=4), torch.rand(4, 3, 96, 96)
    fake = (torch.rand(4, 3, 96, 96) * 0.2).requires_grad_()
    optimizer = torch.optim.Adam(critic.parameters(), lr=5e-3)
    first = critic_loss(critic(real), critic(fake.detach())).item()
    for _ in range(15):
        optimizer.zero_grad()
        loss = critic_loss(critic(real), critic(fake.detach()))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * first
    (fooling_loss(critic(fake)) + feature_matching(critic(real), critic(fake))).backward()
    assert fake.grad.abs().max() > 0


def pictures(seed: int, side: int = 64) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("convolutions", [(2, 2, 3, 3, 3), (2, 2, 4, 4, 4)])
def test_content_is_the_weighted_sum_over_layers(convolutions):
    state, total = toy_state(convolutions), 0.0
    pred, target = pictures(1), pictures(2)
    for layer, weight in WEIGHTS.items():
        total += weight * ContentLoss(state, {layer: 1.0})(pred, target).item()
    assert ContentLoss(state)(pred, target).item() == pytest.approx(total, rel=1e-5)
    assert sum(WEIGHTS.values()) == pytest.approx(47 / 32)


def test_content_of_several_views_adds_up():
    """In the published code the term of the second view replaces that of the first."""
    loss = ContentLoss(toy_state())
    views, target = pictures(1), pictures(2)
    both = sum(loss(views[i : i + 1], target[i : i + 1]) for i in range(2))
    assert both.item() == pytest.approx(2 * loss(views, target).item(), rel=1e-4)


def test_content_looks_inside_the_mask_only():
    loss, pred, target = ContentLoss(toy_state()), pictures(1), pictures(2)
    mask = torch.zeros(1, 1, 64, 64)
    assert loss(pred, target, mask).item() == 0
    mask[..., :32] = 1
    other = pred.clone()
    other[..., 32:] = 0.5
    assert loss(pred, target, mask).item() == loss(other, target, mask).item() > 0


def test_content_gives_gradients_to_the_prediction():
    pred = pictures(1).requires_grad_()
    ContentLoss(toy_state())(pred, pictures(2)).backward()
    assert pred.grad.abs().max() > 0


def test_vgg16_serves_where_vgg19_is_absent(tmp_path, caplog):
    for convolutions, kind in (((2, 2, 3, 3, 3), "vgg16"), ((2, 2, 4, 4, 4), "vgg19")):
        path = tmp_path / f"{kind}.pth"
        torch.save(toy_state(convolutions), path)
        assert find_vgg_weights(path)[0] == kind
        with caplog.at_level("INFO"):
            load_content_loss(path)
        assert ("VGG16 in place of VGG19" in caplog.text) == (kind == "vgg16")
        caplog.clear()


def test_weights_of_neither_network_are_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"other.pth does not hold the weights of vgg16"):
        find_vgg_weights(tmp_path / "other.pth")


@pytest.mark.data
def test_content_with_real_weights(test_data):
    loss = load_content_loss(test_data / "weights" / "vgg16_features_torchvision.pth")
    target = pictures(2)
    near, far = loss(target + 0.02, target).item(), loss(pictures(1), target).item()
    assert 0 < near < 0.2 * far


PARTS = {"face": Part(0, 0.5, 0, 1, 6.0), "rest": Part(0.5, 1, 0, 1)}


def example_labels() -> np.ndarray:
    charts = np.zeros((4, 8), np.int32)
    charts[0, :2], charts[2:, 2:6] = 3, 1
    return label_parts(charts, PARTS)


def test_charts_belong_to_the_part_that_holds_their_center():
    labels = example_labels()
    assert (labels[0, :2] == 1).all()
    assert (labels[2:, 2:6] == 2).all()
    assert (labels > 0).sum() == 10


def test_part_l1_is_the_weighted_sum_of_means_over_parts():
    weights = torch.from_numpy(weight_map(example_labels(), PARTS))
    target, pred = torch.zeros(2, 3, 4, 8), torch.full((2, 3, 4, 8), 9.0)
    pred[:, :, 0, :2] = 0.5
    pred[:, :, 2:, 2:6] = torch.tensor([0.2, 0.6])[:, None, None, None]
    assert part_l1(pred, target, weights).item() == pytest.approx(6 * 0.5 + 0.4)
    assert weights.sum().item() == pytest.approx(7)


def test_an_absent_part_adds_nothing():
    labels = np.zeros((4, 4), np.int32)
    labels[1, 1] = 2
    assert weight_map(labels, PARTS).sum() == pytest.approx(1)


@pytest.mark.data
def test_published_parts_cover_all_charts_of_the_smpl_layout(test_data):
    charts = number_charts(read_mesh(test_data / "textures_smpl" / "mesh" / "smpl_uv.obj"), (256, 256))
    labels = label_parts(charts, SMPL_PARTS)
    assert ((labels > 0) == (charts > 0)).all()
    counts = [len(np.unique(charts[labels == number])) for number in range(1, 7)]
    assert counts == [1, 1, 2, 2, 2, 2]  # head, body, and twice legs, arms, feet, hands
    assert weight_map(labels, SMPL_PARTS).sum() == pytest.approx(11, rel=1e-4)
