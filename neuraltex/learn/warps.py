"""Displacing what is known of a texture, part by part, as an inaccurate body model does.

Every part (say, a chart) gets a coarse grid of control points, all but the four corners of which are moved at random;
a thin plate spline carries the texels in between. S. Cha et al., "Generating Texture for 3D Human Avatar from a Single
Image using Sampling and Refinement Networks", Computer Graphics Forum 2023, with these differences from their code: a
part is read from its own texels only and written to them only, while theirs pastes whole boxes that overlap other
parts; the points that stay are really the corners, in grids that are not square too; control points cover the whole
box of a part that is not square; color is divided by the warped mask, which leaves no dark rim.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuraltex.learn.nets.inputs import Inputs
from neuraltex.learn.thin_plate import spline_matrix

CONTROLS = 4
"""Control points along the longer side of a part."""


@dataclass(frozen=True, eq=False)
class _Part:
    """Texels of a part in the flat texture, and how the offsets [half of the longer side] of its controls reach them.

    ``matrix`` has a column for each control point in rows from the top left; the corners' are zero.
    """

    texels: Int[Tensor, " T"]
    matrix: Float[Tensor, "T K"]
    half_side: float
    controls: tuple[int, int]


class PartWarps:
    """Random warps of the parts of one layout at one size.

    Args:
        labels: Number of the part of each texel, 0 where there is none, e.g. from
            :func:`neuraltex.texture.fill.number_charts`.
        device: Where warps are computed.
    """

    def __init__(self, labels: Int[Tensor, "H W"], device: torch.device | str = "cpu") -> None:
        self.labels = labels.to(device)
        numbers = [int(number) for number in labels.unique() if number > 0]
        self.parts = [_make_part(labels == number, device) for number in numbers]

    def draw_shifts(
        self, samples: int, scale: float, generator: torch.Generator, share: float = 0.8
    ) -> Float[Tensor, "N H W 2"]:
        """Return how far from itself (x right, y down) [texel] each texel of random warps reads; 0 between parts.

        Args:
            samples: N.
            scale: Largest offset of a control point times the number of them along the longer side, in halves of that
                side.
            generator: On the CPU.
            share: Share of the parts that are warped at all.
        """
        height, width = self.labels.shape
        shifts = torch.zeros(samples, height * width, 2, device=self.labels.device)
        for part in self.parts:
            rows, columns = part.controls
            moved = torch.rand(samples, 1, 1, generator=generator) < share
            offsets = torch.rand(samples, rows * columns, 2, generator=generator) * 2 - 1
            offsets = offsets * moved * (scale / max(part.controls) * part.half_side)
            shifts[:, part.texels] = part.matrix @ offsets.to(shifts.device)
        return shifts.unflatten(1, (height, width))

    def move(self, values: Float[Tensor, "N C H W"], shifts: Float[Tensor, "N H W 2"]) -> Float[Tensor, "N C H W"]:
        """Read values bilinearly at displaced places; texels of other parts and beyond the border count as 0."""
        height, width = self.labels.shape
        x = torch.arange(width, device=shifts.device) + shifts[..., 0]
        y = torch.arange(height, device=shifts.device)[:, None] + shifts[..., 1]
        left, top = x.floor(), y.floor()
        found = torch.zeros_like(values)
        for down in (0, 1):
            for right in (0, 1):
                weight = (1 - (x - left - right).abs()) * (1 - (y - top - down).abs())
                found += self._tap(values, left.long() + right, top.long() + down, weight)
        return found

    def _tap(self, values: Tensor, x: Tensor, y: Tensor, weight: Tensor) -> Float[Tensor, "N C H W"]:
        height, width = self.labels.shape
        valid = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        place = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten(1)
        valid &= self.labels.flatten()[place].view_as(valid) == self.labels
        taken = values.flatten(2).gather(2, place[:, None].expand(-1, values.shape[1], -1))
        return taken.view_as(values) * (weight * valid)[:, None]

    def warp(self, inputs: Inputs, scale: float, generator: torch.Generator, share: float = 0.8) -> Inputs:
        """Return partial textures with everything that a photograph shows displaced, and the geometry as it was.

        Each sample is warped by itself, mask and confidence with its colors; a texel is known where at least half of
        what it reads is. Arguments as for :meth:`draw_shifts`.
        """
        if scale <= 0 or not self.parts:
            return inputs
        known = inputs["direct"] + inputs["mirrored"]
        seen = [inputs["color"] * known, inputs["confidence"] * known, inputs["direct"], inputs["mirrored"]]
        shifts = self.draw_shifts(len(known), scale, generator, share)
        moved = self.move(torch.cat(seen, 1), shifts)
        color, confidence, direct, mirrored = moved.split((3, 1, 1, 1), 1)
        total = direct + mirrored
        keep = (total >= 0.5).to(total.dtype)
        color, confidence = (value * keep / total.clamp(min=0.5) for value in (color, confidence))
        direct = keep * (direct >= mirrored)
        found = {"color": color, "confidence": confidence, "direct": direct, "mirrored": keep - direct}
        return {**inputs, **found}


def control_counts(height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of the control points of a part of that size: four along the longer side, at least two.

    On the parts of the SMPL layout these are the published numbers: 3x4 for the head, 2x4 for feet and hands, else 4x4.
    """
    longer = max(height, width)
    return max(2, round(CONTROLS * height / longer)), max(2, round(CONTROLS * width / longer))


def _make_part(mask: Tensor, device: torch.device | str) -> _Part:
    """Prepare a part; control points cover its box, coordinates have the half of the longer side as unit."""
    rows, columns = mask.nonzero(as_tuple=True)
    top, left = int(rows.min()), int(columns.min())
    height, width = int(rows.max()) + 1 - top, int(columns.max()) + 1 - left
    half, counts = max(height, width) / 2, control_counts(height, width)
    y, x = (torch.linspace(0, side, count) / half for side, count in zip((height, width), counts, strict=True))
    controls = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    points = torch.stack([columns - left + 0.5, rows - top + 0.5], 1) / half
    matrix = spline_matrix(controls, points).float()
    matrix[:, _corners(*counts)] = 0
    return _Part((rows * mask.shape[1] + columns).to(device), matrix.to(device), half, counts)


def _corners(rows: int, columns: int) -> list[int]:
    """Return which control points are corners."""
    last = (rows - 1) * columns
    return [0, columns - 1, last, last + columns - 1]
