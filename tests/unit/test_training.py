"""Training of samplers and refiners: it learns, it can be interrupted, and it tells what it does."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from neuraltex.config.learn import LearnConfig, LearnLossConfig, RefinerConfig, SamplerConfig, TrainConfig
from neuraltex.core.errors import DataError, DivergenceError, ResumeError
from neuraltex.learn.batches import Batches, Fusing
from neuraltex.learn.blur import blur_masked, blur_sample
from neuraltex.learn.data.dataset import FolderSet
from neuraltex.learn.data.files import write_sample, write_subject
from neuraltex.learn.data.procedural import Flaws, procedural_sample
from neuraltex.learn.data.procedural_set import ProceduralSet, split_seeds
from neuraltex.learn.fused_batch import fuse_views
from neuraltex.learn.nets.outputs import Sampled
from neuraltex.learn.nets.sampling import identity_grid
from neuraltex.learn.networks import TextureNetworks, build_refiner, build_sampler
from neuraltex.learn.objective import consistency_term, gradient_term, offset_variation, places_term
from neuraltex.learn.prepare import layout_bases, make_curriculum, make_parts
from neuraltex.learn.train import Material, Training, learning_rate
from neuraltex.learn.validation import region_psnr

SMALL = LearnConfig(
    sampler=SamplerConfig(width=8, levels=3),
    refiner=RefinerConfig(width=8, levels=2),
    loss=LearnLossConfig(gradient=0.3, smooth=0.002),
    train=TrainConfig(steps=60, batch=6, lr=3e-3, warmup_steps=5, val_every=0, checkpoint_every=0, amp=False),
)


@pytest.fixture(scope="module")
def samples() -> Batches:
    return Batches(ProceduralSet(split_seeds("train", 8), 32))


def networks(samples: Batches, refiner: bool = False) -> TextureNetworks:
    torch.manual_seed(0)
    sampler = build_sampler(SMALL.sampler, layout_bases(samples, None, SMALL.sampler.hypotheses))
    return TextureNetworks(sampler, build_refiner(SMALL.refiner, samples.mean()) if refiner else None)


def changed(**train: object) -> LearnConfig:
    return replace(SMALL, train=replace(SMALL.train, **train))


def test_a_sampler_and_then_a_refiner_learn(samples: Batches) -> None:
    both = networks(samples)
    before = region_psnr(both, samples, 8)["unseen"]
    training = Training(SMALL, both, Material(samples))
    training.run()
    sampled = region_psnr(training.finished(), samples, 8)["unseen"]
    assert sampled > before + 1
    refined = TextureNetworks(both.sampler, build_refiner(SMALL.refiner, samples.mean()))
    weights = {name: value.clone() for name, value in refined.sampler.state_dict().items()}
    training = Training(SMALL, refined, Material(samples))
    training.run()
    assert region_psnr(training.finished(), samples, 8)["unseen"] > sampled
    assert all(torch.equal(value, weights[name]) for name, value in refined.sampler.state_dict().items())


@pytest.mark.parametrize("gan", [0.0, 0.1])
def test_an_interrupted_training_goes_on_bit_by_bit(samples: Batches, tmp_path, gan: float) -> None:
    loss = replace(SMALL.loss, gan=gan, matching=gan)
    config = replace(changed(steps=6, checkpoint_every=3, critic_width=8, gan_warmup=0.2), loss=loss)
    size = 64 if gan else 32
    data = Batches(ProceduralSet(split_seeds("train", 4), size))
    whole = Training(config, networks(data), Material(data), tmp_path / "whole")
    whole.run()
    first = Training(config, networks(data), Material(data), tmp_path / "parts")
    while first.step < 3:
        first.advance()
    first._save()
    second = Training(config, networks(data), Material(data), tmp_path / "parts", resume=True)
    assert second.step == 3
    second.run()
    expected, found = whole.finished().state_dict(), second.finished().state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_a_state_of_other_subjects_or_networks_is_refused(samples: Batches, tmp_path) -> None:
    config = changed(steps=1)
    Training(config, networks(samples), Material(samples, signature=("a", "b")), tmp_path).run()
    with pytest.raises(ResumeError, match="data"):
        Training(config, networks(samples), Material(samples, signature=("a", "c")), tmp_path, resume=True)
    other = replace(config, sampler=replace(config.sampler, wrap=True))
    with pytest.raises(ResumeError, match=r"network\.wrap"):
        Training(other, networks(samples), Material(samples, signature=("a", "b")), tmp_path, resume=True)


def test_a_loss_that_is_no_number_stops_the_training(samples: Batches) -> None:
    training = Training(SMALL, networks(samples), Material(samples))
    torch.nn.init.constant_(training.networks.sampler.weight_head.bias, float("nan"))
    with pytest.raises(DivergenceError, match=r"Lower --train\.lr"):
        training.advance()


def test_the_rate_rises_and_falls() -> None:
    config = changed(steps=100, warmup_steps=10, decay="linear", decay_share=0.5, lr=1.0)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:51] == pytest.approx([1.0] * 42)
    assert rates[75] == pytest.approx(0.5)
    assert learning_rate(100, changed(steps=100, decay="cosine")) == pytest.approx(0)
    assert learning_rate(50, changed(steps=100, decay="cosine", lr=1.0)) == pytest.approx(0.5)


def test_pairs_show_one_subject_in_one_color(samples: Batches) -> None:
    class Twice:
        """Every subject twice, with the same truth."""

        def __init__(self) -> None:
            self.own = ProceduralSet(split_seeds("train", 3), 32)

        def __len__(self) -> int:
            return 6

        def arrays(self, index: int) -> dict[str, np.ndarray]:
            return self.own.arrays(index % 3)

        def subject(self, index: int) -> str:
            return str(index % 3)

        def azimuth(self, index: int) -> float:
            return 0.0

    drawn = Batches(Twice()).draw(6, torch.Generator().manual_seed(1), 0.5, pairs=True)
    assert torch.equal(drawn[1][:3], drawn[1][3:])
    assert float(consistency_term(drawn[1], drawn[0]["inside"])) == 0


def test_color_changes_are_the_same_for_input_and_truth(samples: Batches) -> None:
    inputs, truth = samples.draw(4, torch.Generator().manual_seed(2), 0.9)
    plain_inputs, plain_truth = samples.draw(4, torch.Generator().manual_seed(2), 0.0)
    assert not torch.allclose(truth, plain_truth)
    known = (inputs["direct"] > 0).expand_as(truth)
    error = (inputs["color"] - truth)[known].abs().mean()
    assert error < 2 * (plain_inputs["color"] - plain_truth)[known].abs().mean() + 0.05


def test_no_samples_are_an_error() -> None:
    with pytest.raises(DataError, match="no samples"):
        Batches(())


def test_blur_stays_inside_its_mask() -> None:
    image, mask = torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    mask[..., :8] = 1
    image[..., :8] = 0.7
    image[..., 8:] = 100
    found = blur_masked(image, mask, 2.0)
    assert torch.allclose(found[..., :8], torch.tensor(0.7), atol=1e-5)
    assert not found[..., 8:].any()
    inputs = {"color": image, "direct": mask, "mirrored": torch.zeros_like(mask), "inside": mask}
    assert blur_sample(inputs, image, 0.0)[1] is image


def test_gradient_term_ignores_borders_of_charts() -> None:
    truth, weight = torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    weight[..., :4] = 1
    shifted = truth + 0.5
    assert float(gradient_term(shifted, truth, weight)) == pytest.approx(0, abs=1e-6)
    ramp = torch.arange(8.0).expand(1, 3, 8, 8) * 0.1
    assert float(gradient_term(ramp, truth, torch.ones(1, 1, 8, 8))) > 0.04


def test_offset_variation_is_in_texels() -> None:
    offsets = torch.zeros(1, 1, 4, 8, 2)
    offsets[..., 0] = torch.arange(8.0) * (2 / 8)  # one texel more per texel
    assert float(offset_variation(offsets, torch.ones(1, 1, 4, 8))) == pytest.approx(0.5)  # of u; none of v


def test_the_published_networks_train_with_all_their_terms() -> None:
    """A step of each at a small size, with curriculum, parts, pairs, critic and distance from what was sampled."""
    data = ProceduralSet(split_seeds("train", 2), 64)
    samples, mesh = Batches(data), data.rest_mesh
    loss = LearnLossConfig(
        l1=0, parts=1, gradient=0, smooth=0, off_mask=0, refined=0, consistency=1, gan=1, matching=1, sampled=10
    )
    train = TrainConfig(steps=2, batch=2, curriculum="paper", critic_width=8, gan_warmup=0, val_every=0, amp=False)
    kinds = (SamplerConfig(kind="paper"), RefinerConfig(kind="paper"))
    config = LearnConfig(sampler=kinds[0], refiner=kinds[1], loss=replace(loss, sampled=0), train=train)
    parts = make_parts("charts", mesh, samples.size, "cpu")
    assert float(parts.sum()) == pytest.approx(1)  # one chart
    material = Material(samples, None, make_curriculum("paper", mesh, samples.size, "cpu"), None, parts)
    networks = TextureNetworks(build_sampler(config.sampler))
    before = [value.clone() for value in networks.sampler.parameters()]
    training = Training(config, networks, material)
    training.advance()
    assert any(not torch.equal(a, b) for a, b in zip(before, networks.sampler.parameters(), strict=True))
    both = TextureNetworks(networks.sampler, build_refiner(config.refiner))
    refining = Training(replace(config, loss=loss), both, Material(samples, parts=parts))
    refining.run()
    terms = {name.rpartition("/")[2] for name in refining.monitor.history[-1]}
    assert terms >= {"parts", "consistency", "gan", "matching", "sampled"}


def looking_at(grids: torch.Tensor, bases: torch.Tensor) -> Sampled:
    nothing = torch.zeros(1)
    return Sampled(nothing, nothing, grids, nothing, grids - bases)


@pytest.mark.parametrize("wrap", [False, True])
def test_places_are_right_where_the_base_of_the_true_place_is(wrap: bool) -> None:
    own = identity_grid(8, 8)
    mirror = own * torch.tensor([-1.0, 1.0])
    bases = torch.stack([own, mirror])[None]
    shift = torch.zeros(1, 2, 8, 8)
    shift[:, 0] = 0.5  # two texels to the right
    moved = own + torch.tensor([0.5, 0.0])
    right = torch.stack([moved, moved * torch.tensor([-1.0, 1.0])])[None]
    known = torch.ones(1, 1, 8, 8)
    inputs = {"shift": shift, "inside": known.clone(), "direct": known, "mirrored": 0 * known}
    everywhere = float(places_term(looking_at(right, bases), inputs, wrap=wrap))
    assert everywhere < 1e-6 if wrap else everywhere > 0.01
    inputs["inside"][..., 6:] = 0  # no place leaves the texture
    assert float(places_term(looking_at(right, bases), inputs, wrap=wrap)) < 1e-6
    assert float(places_term(looking_at(bases, bases), inputs, wrap=wrap)) == pytest.approx(0.25)
    inputs["direct"] = inputs["direct"] * (own[None, None, ..., 0] < 0)  # half of the texture is not known
    there = own[..., 0] < -0.5  # own places known here, mirrored ones elsewhere
    half = looking_at(torch.where(torch.stack([there, ~there])[None, ..., None], right, 0 * right), bases)
    assert float(places_term(half, inputs, wrap=wrap)) < 1e-6
    assert float(places_term(half, inputs | {"direct": known}, wrap=wrap)) > 0.1


def test_samples_without_a_shift_do_not_count() -> None:
    bases = identity_grid(8, 8)[None, None].expand(2, -1, -1, -1, -1)
    shift, known = torch.zeros(2, 2, 8, 8), torch.ones(2, 1, 8, 8)
    shift[0], shift[1] = 0.25, torch.nan
    inputs = {"shift": shift, "inside": known.clone(), "direct": known, "mirrored": 0 * known}
    first = {name: value[:1] for name, value in inputs.items()}
    alone = places_term(looking_at(bases[:1], bases[:1]), first, wrap=True)
    assert float(alone) > 0.1
    assert float(places_term(looking_at(bases, bases), inputs, wrap=True)) == pytest.approx(float(alone))
    assert float(places_term(looking_at(bases, bases), {**inputs, "shift": shift * torch.nan}, wrap=True)) == 0


def test_true_places_teach_offsets(samples: Batches) -> None:
    """With the term, hypotheses end nearer to where the colors are."""
    left = {}
    for weight in (0.0, 2.0):
        config = replace(changed(places_share=10.0), loss=replace(SMALL.loss, places=weight))
        training = Training(config, networks(samples), Material(samples))
        training.run()
        inputs, _ = samples.take(range(8))
        with torch.no_grad():
            found = training.finished().sampler(inputs)
        left[weight] = float(places_term(found, inputs, wrap=False))
    assert left[2.0] < 0.8 * left[0.0]


def test_fused_views_show_what_any_of_them_does() -> None:
    known = torch.tensor([[[1.0, 1, 0, 0]], [[0.0, 1, 0, 0]], [[0.0, 0, 1, 0]]])[:, None]
    mirrored = torch.tensor([[[0.0, 0, 1, 0]], [[1.0, 0, 0, 1]], [[0.0, 0, 0, 0]]])[:, None]
    confidence = torch.tensor([[[0.5, 1, 0.4, 0]], [[0.3, 0.8, 0, 0.2]], [[0, 0, 0.7, 0]]])[:, None]
    color = torch.arange(3.0)[:, None, None, None].expand(3, 3, 1, 4) / 4
    views = {"color": color, "direct": known, "mirrored": mirrored, "confidence": confidence}
    fused = fuse_views(views, torch.tensor([0, 0, 1]), 2)
    assert fused["direct"].tolist() == [[[[1, 1, 0, 0]]], [[[0, 0, 1, 0]]]]
    assert fused["mirrored"].tolist() == [[[[0, 0, 1, 1]]], [[[0, 0, 0, 0]]]]
    torch.testing.assert_close(fused["confidence"][0, 0, 0], torch.tensor([0.5, 1, 0.4, 0.2]))
    share = float(1 / (1 + np.exp(2.0)))  # of the second view, less sure by 0.2
    expected = [0.0, 0.25 * share, 0.0, 0.25]
    torch.testing.assert_close(fused["color"][0, :, 0], torch.tensor([expected] * 3))
    torch.testing.assert_close(fused["color"][1, 0, 0], torch.tensor([0, 0, 0.5, 0.0]))


def test_a_batch_can_show_several_photographs(tmp_path) -> None:
    folder = avatars(tmp_path)
    data = Batches(folder)

    def draw(share: float) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        return data.draw(6, torch.Generator().manual_seed(3), 0.0, fusing=Fusing(share, 4))

    (alone, truth), (fused, same) = draw(0.0), draw(1.0)
    assert torch.equal(truth, same)
    assert alone["shift"].isfinite().all()
    assert fused["shift"].isnan().all()
    assert (fused["direct"] >= alone["direct"]).all()
    assert fused["direct"].sum() > 1.2 * alone["direct"].sum()
    assert float((fused["direct"] * fused["mirrored"]).max()) == 0
    error = ((fused["color"] - truth) * fused["direct"]).abs().sum() / (3 * fused["direct"].sum())
    assert error < 1.3 * ((alone["color"] - truth) * alone["direct"]).abs().sum() / (3 * alone["direct"].sum())


def test_some_views_only_join_others(tmp_path) -> None:
    folder = avatars(tmp_path)
    first = np.array([folder.angle(index) == "45" for index in range(len(folder))])
    data, generator = Batches(folder, first=first), torch.Generator().manual_seed(3)
    ours = data.take(np.flatnonzero(first))[0]["direct"]
    drawn = data.draw(6, generator, 0.0)[0]["direct"]
    assert all((ours == one).all((1, 2, 3)).any() for one in drawn)
    fused = data.draw(6, generator, 0.0, fusing=Fusing(1.0, 4))[0]["direct"]
    assert all((one >= ours).all((1, 2, 3)).any() for one in fused)
    assert fused.sum() > 1.2 * drawn.sum()
    with pytest.raises(DataError, match="no samples to learn from"):
        Batches(folder, first=~np.ones(len(folder), bool))


def avatars(folder: Path) -> FolderSet:
    """Two figures, each seen from four sides."""
    for seed, azimuth in product(range(2), (-135, -45, 45, 135)):
        made = procedural_sample(seed, 32, azimuth=azimuth, flaws=Flaws(misaligned=False, jitter=0))
        write_sample(folder, f"figure_{seed}", azimuth, made.partial, shift=made.shift)
        write_subject(folder, f"figure_{seed}", made.truth)
    return FolderSet(folder, "all")
