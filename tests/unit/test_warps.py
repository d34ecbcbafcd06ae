"""Thin plate splines, warps of parts, and curricula made of them."""

import time

import numpy as np
import pytest
import torch
from torch import Tensor

from neuraltex.core.errors import ConfigError
from neuraltex.io.images import read_texture
from neuraltex.io.meshes import read_mesh
from neuraltex.learn.curriculum import CURRICULA, Curriculum, Stage
from neuraltex.learn.thin_plate import spline_matrix
from neuraltex.learn.warps import PartWarps, control_counts
from neuraltex.texture.fill import number_charts


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_parts(side: int = 32) -> Tensor:
    """A wide part above a square one, touching it, and a border without any."""
    labels = torch.zeros(side, side, dtype=torch.int32)
    labels[2 : side // 4, 2:-2] = 1
    labels[side // 4 : side // 4 * 3, 2 : side // 2 + 2] = 2
    return labels


def example(samples: int = 2, side: int = 32, seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    """Smooth true textures, and partial ones that know the left and, mirrored, the right of each part."""
    generator, inside = seeded(seed), (two_parts(side) > 0).float()[None, None]
    coarse = torch.rand(samples, 3, 4, 4, generator=generator) * 0.8 + 0.1
    target = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear") * inside
    left = (torch.arange(side) < side // 3).float() * inside
    mirrored = (torch.arange(side) >= side // 2).float() * inside
    known = (left + mirrored).expand(samples, 1, -1, -1)
    real = (target + 0.1).clamp(0, 1) * known
    maps = {"color": real, "direct": left, "mirrored": mirrored, "confidence": 0.5 * known, "normals": inside}
    return {name: value.expand(samples, -1, -1, -1).clone() for name, value in maps.items()}, target


def test_spline_takes_its_values_at_the_control_points() -> None:
    controls, values = torch.rand(12, 2, generator=seeded()), torch.rand(12, 2, generator=seeded(1)).double()
    torch.testing.assert_close(spline_matrix(controls, controls), torch.eye(12).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(spline_matrix(controls, controls) @ values, values)


def test_spline_reproduces_affine_maps() -> None:
    controls, points = (torch.rand(n, 2, generator=seeded(n)).double() for n in (9, 30))
    turn, shift = torch.tensor([[0.8, -0.3], [0.2, 1.1]]).double(), torch.tensor([0.4, -2.0]).double()
    torch.testing.assert_close(spline_matrix(controls, points) @ (controls @ turn + shift), points @ turn + shift)


def test_spline_is_smoother_than_any_other_map_through_its_values() -> None:
    """Between control points of a bump its values stay between those at the neighbors."""
    x = torch.linspace(-1, 1, 5)
    controls = torch.cartesian_prod(x, x)
    bump = (controls == 0).all(1).double()
    line = spline_matrix(controls, torch.stack([torch.linspace(0, 0.5, 20), torch.zeros(20)], 1)) @ bump
    assert (line.diff() < 0).all()
    assert line[0].item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("size", "counts"),
    [((225, 309), (3, 4)), ((297, 323), (4, 4)), ((215, 215), (4, 4)), ((176, 193), (4, 4)), ((69, 177), (2, 4)),
     ((72, 197), (2, 4)), ((300, 100), (4, 2))],
)  # fmt: skip
def test_parts_of_the_smpl_layout_get_the_published_control_points(size, counts) -> None:
    assert control_counts(*size) == counts


def test_a_warp_shifts_the_texel_at_a_control_point_by_its_offset() -> None:
    labels = torch.ones(61, 61, dtype=torch.int32)
    (part,) = PartWarps(labels).parts
    offsets = torch.zeros(16, 2)
    offsets[5] = torch.tensor([3.0, -2.0])  # second row, second column: texel coordinates (20 1/3, 20 1/3)
    shifts = (part.matrix @ offsets).view(61, 61, 2)
    torch.testing.assert_close(shifts[20, 20], offsets[5], atol=0.02, rtol=0)
    for corner in (shifts[0, 0], shifts[0, -1], shifts[-1, 0], shifts[-1, -1]):
        assert corner.abs().max() < 0.15


@pytest.mark.parametrize("shape", [(40, 40), (20, 40), (40, 12)])
def test_corners_stay_whatever_is_drawn(shape) -> None:
    labels = torch.zeros(48, 48, dtype=torch.int32)
    labels[4 : 4 + shape[0], 6 : 6 + shape[1]] = 7
    part = PartWarps(labels).parts[0]
    rows, columns = part.controls
    for corner in (0, columns - 1, (rows - 1) * columns, rows * columns - 1):
        assert (part.matrix[:, corner] == 0).all()
    assert (part.matrix[:, 1:-1].abs().max(0).values > 0).sum() == rows * columns - 4


def test_shifts_are_drawn_per_sample_and_part_and_bounded() -> None:
    warps, scale = PartWarps(two_parts(64)), 0.5
    shifts = warps.draw_shifts(40, scale, seeded())
    assert (shifts[:, warps.labels == 0] == 0).all()
    for number, half in ((1, 30), (2, 16)):
        of_part = shifts[:, warps.labels == number]
        still = (of_part == 0).all(2).all(1)
        assert 0.05 < still.float().mean() < 0.4  # a fifth is not warped
        assert of_part[~still].flatten(1).unique(dim=0).shape[0] == (~still).sum()
        assert of_part.abs().max() < 1.6 * scale / 4 * half
        assert of_part.abs().max() > 0.5 * scale / 4 * half
    assert (warps.draw_shifts(4, scale, seeded(), share=0.0) == 0).all()


def test_no_scale_changes_nothing() -> None:
    inputs, _ = example()
    warps = PartWarps(two_parts())
    assert warps.warp(inputs, 0.0, seeded()) is inputs
    still = warps.warp(inputs, 0.2, seeded(), share=0.0)
    for name, value in inputs.items():
        torch.testing.assert_close(still[name], value)


def test_move_reads_bilinearly_within_parts_only() -> None:
    labels = torch.tensor([[1, 1, 2, 2]], dtype=torch.int32)
    values, shifts = torch.tensor([[[[1.0, 2.0, 4.0, 8.0]]]]), torch.zeros(1, 1, 4, 2)
    shifts[..., 0] = torch.tensor([0.25, 0.25, 0.5, -2.0])
    moved = PartWarps(labels).move(values, shifts)
    torch.testing.assert_close(moved.flatten(), torch.tensor([1.25, 0.75 * 2, 6.0, 0.0]))


def test_mask_moves_with_the_colors() -> None:
    """Colors encode the place they come from: known texels must hold a color of a known texel of the same part."""
    labels, inputs = two_parts(64), example(8, 64)[0]
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    place = torch.stack([rows, columns, labels.float() * 20]) / 64
    known = inputs["direct"] + inputs["mirrored"]
    warps = PartWarps(labels)
    shifts = warps.draw_shifts(8, 0.5, seeded())
    moved = warps.warp({**inputs, "color": place * known}, 0.5, seeded())
    again = moved["direct"] + moved["mirrored"]
    assert ((again == 0) | (again == 1)).all()
    assert 0.5 * known.sum() < again.sum() < 1.5 * known.sum()
    assert (again != known).sum() > 50
    found, inner = moved["color"] * 64, (again * (moved["color"][:, :1] > 0)) > 0
    assert (moved["color"] * (1 - again) == 0).all()
    torch.testing.assert_close(found[:, 2:][inner], (labels.float() * 20).expand_as(inner)[inner], rtol=1e-3, atol=0.05)
    expected = torch.stack([rows + shifts[..., 1], columns + shifts[..., 0]], 1)
    # Where all four texels are known, the color is exactly the place; at the edge of the mask it leans inward.
    assert ((found[:, :2] - expected).abs() * inner).max() < 1.01
    assert ((found[:, :2] - expected).abs() * inner).mean() < 0.02


def test_directness_and_confidence_move_along() -> None:
    inputs = example(4, 64)[0]
    moved = PartWarps(two_parts(64)).warp(inputs, 0.4, seeded())
    assert (moved["direct"] * moved["mirrored"] == 0).all()
    assert moved["direct"].sum() > 0
    assert moved["mirrored"].sum() > 0
    known = moved["direct"] + moved["mirrored"]
    torch.testing.assert_close(moved["confidence"], 0.5 * known)
    assert moved["normals"] is inputs["normals"]  # what to align with stays


def test_a_constant_part_stays_constant() -> None:
    inputs = example(4)[0]
    known = inputs["direct"] + inputs["mirrored"]
    moved = PartWarps(two_parts()).warp({**inputs, "color": 0.7 * known.expand(-1, 3, -1, -1)}, 0.5, seeded())
    again = moved["direct"] + moved["mirrored"]
    torch.testing.assert_close(moved["color"], 0.7 * again.expand(-1, 3, -1, -1))


def test_warping_is_quick() -> None:
    inputs = example(12, 64)[0]
    warps, generator, took = PartWarps(two_parts(64)), seeded(), []
    for _ in range(5):
        start = time.perf_counter()
        warps.warp(inputs, 0.2, generator)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.06  # 30 ms, with room for a loaded machine


@pytest.mark.data
def test_real_textures_move_a_little(test_data) -> None:
    """On the charts of the SMPL layout, a warp displaces a real texture without tearing it."""
    folder = test_data / "textures_smpl"
    labels = torch.from_numpy(number_charts(read_mesh(folder / "mesh" / "smpl_uv.obj"), (128, 128)))
    picture = read_texture(sorted(folder.glob("*.jpg"))[0])[::4, ::4].astype(np.float32) / 255
    color = torch.from_numpy(picture).movedim(-1, 0)[None]
    known = (labels > 0).float()[None, None]
    inputs = {"color": color * known, "direct": known, "mirrored": known * 0, "confidence": known}
    moved = PartWarps(labels).warp(inputs, 0.25, seeded(), share=1.0)
    change = (moved["color"] - inputs["color"]).abs().mean() / known.mean()
    assert 0.01 < change < 0.1
    assert moved["direct"].sum() > 0.9 * known.sum()


def test_paper_curriculum_is_the_published_schedule() -> None:
    curriculum = Curriculum(CURRICULA["paper"], PartWarps(two_parts()))
    expected = {
        0: (0, 0, 0), 3999: (0, 0, 0), 4001: (1, 0, 0.1), 8001: (1, 0, 0.125), 12001: (0.5, 0.5, 0.15),
        16001: (0.5, 0.5, 0.175), 20001: (0.5, 0.5, 0.2), 24001: (0.5, 0.5, 0.225), 29999: (0.5, 0.5, 0.25),
    }  # fmt: skip
    for step, (warped, real, scale) in expected.items():
        stage, found = curriculum.stage(step / 30000)
        assert (stage.warped, stage.real, found) == pytest.approx((warped, real, scale)), step


def test_scale_grows_within_a_stage_and_the_last_one_lasts() -> None:
    curriculum = Curriculum((Stage(0), Stage(0.2, 1, 0, (0.0, 0.4))), PartWarps(two_parts()))
    assert [curriculum.stage(t)[1] for t in (0.1, 0.2, 0.6, 1.0)] == pytest.approx([0, 0, 0.2, 0.4])
    lite = Curriculum(CURRICULA["lite"], PartWarps(two_parts()))
    assert lite.stage(0.0999)[1] == pytest.approx(0.25, abs=1e-3)
    assert lite.stage(0.1)[0].real == 1


def test_aligned_inputs_are_the_truth_seen_through_the_mask() -> None:
    inputs, target = example()
    shown = Curriculum((Stage(0),)).apply(inputs, target, 0.0, seeded())
    known = inputs["direct"] + inputs["mirrored"]
    assert torch.equal(shown["color"], target * known)
    assert torch.equal(shown["direct"], inputs["direct"])
    assert torch.equal(inputs["color"], example()[0]["color"])  # not changed in place


def test_real_inputs_are_passed_on() -> None:
    inputs, target = example()
    assert Curriculum(CURRICULA["none"]).apply(inputs, target, 0.5, seeded()) is inputs


def test_shares_of_a_mixed_stage() -> None:
    inputs, target = example(300, 16)
    curriculum = Curriculum((Stage(0, 0.5, 0.25, (0.8, 0.8)),), PartWarps(two_parts(16)))
    shown = curriculum.apply(inputs, target, 0.0, seeded())
    known = inputs["direct"] + inputs["mirrored"]
    real = _same(shown["color"], inputs["color"])
    aligned = _same(shown["color"], target * known)
    assert 0.18 < real.float().mean() < 0.32
    assert 0.22 < aligned.float().mean() < 0.42  # a quarter, and those whose two parts are both not warped
    assert not (real & aligned).any()


def test_shifts_are_those_of_what_is_shown() -> None:
    inputs, target = example(60, 16)
    inputs["shift"] = torch.full((60, 2, 16, 16), 0.25)
    curriculum = Curriculum((Stage(0, 0.5, 0.25, (0.8, 0.8)),), PartWarps(two_parts(16)))
    shown = curriculum.apply(inputs, target, 0.0, seeded())
    shift = shown["shift"].flatten(1)
    real, aligned, warped = (shift == 0.25).all(1), (shift == 0).all(1), shift.isnan().all(1)
    assert (real | aligned | warped).all()
    assert torch.equal(real, _same(shown["color"], inputs["color"]))
    assert _same(shown["color"], target * (inputs["direct"] + inputs["mirrored"]))[aligned].all()
    assert min(int(real.sum()), int(aligned.sum()), int(warped.sum())) > 5
    assert float(inputs["shift"].std()) == 0, "not changed in place"


def _same(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours == theirs).flatten(1).all(1)


def test_each_view_is_made_from_its_own_maps() -> None:
    """In the published code, view B gets the warped picture of view A (with the mask of B)."""
    a, target = example(6)
    b, _ = example(6)
    b = {**b, "direct": b["mirrored"], "mirrored": b["direct"]}
    hidden = (torch.arange(32) < 10).float()
    b = {name: value * hidden for name, value in b.items()}
    curriculum = Curriculum((Stage(0, 1, 0, (0.4, 0.4)),), PartWarps(two_parts()))
    both = {name: torch.cat([a[name], b[name]]) for name in a}
    shown = curriculum.apply(both, torch.cat([target, target]), 0.0, seeded())
    known = shown["direct"] + shown["mirrored"]
    colored = (shown["color"].sum(1, keepdim=True) > 0).float()
    assert torch.equal(known, colored)  # every view's colors are under its own mask
    assert shown["direct"][6:, ..., 16:].sum() == 0
    assert shown["direct"][:6, ..., 2:10].sum() > 0
    assert shown["mirrored"][:6, ..., 20:].sum() > 0


def test_curriculum_is_repeatable_and_goes_on() -> None:
    inputs, target = example(4)
    curriculum, generator = Curriculum(CURRICULA["paper"], PartWarps(two_parts())), seeded(3)
    first = curriculum.apply(inputs, target, 0.5, generator)["color"]
    state = generator.get_state()
    second = curriculum.apply(inputs, target, 0.5, generator)["color"]
    assert not torch.equal(first, second)
    generator.set_state(state)
    assert torch.equal(curriculum.apply(inputs, target, 0.5, generator)["color"], second)
    assert torch.equal(curriculum.apply(inputs, target, 0.5, seeded(3))["color"], first)


@pytest.mark.parametrize(
    "stages", [(), (Stage(0.1),), (Stage(0), Stage(0)), (Stage(0), Stage(0.5), Stage(0.2)), (Stage(0), Stage(1))]
)
def test_stages_out_of_order_are_refused(stages) -> None:
    with pytest.raises(ConfigError, match="stages begin at"):
        Curriculum(stages)


def test_stages_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="is not a stage"):
        Stage(0, 0.7, 0.7)
    with pytest.raises(ConfigError, match="is not a stage"):
        Stage(0, -0.1)
    with pytest.raises(ConfigError, match="needs the parts"):
        Curriculum(CURRICULA["paper"])
