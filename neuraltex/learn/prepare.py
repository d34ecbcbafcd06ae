"""What a training needs to know of its uv layout."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuraltex.core.errors import DataError
from neuraltex.geometry.mesh import Mesh
from neuraltex.learn.bases import base_grids
from neuraltex.learn.batches import Batches
from neuraltex.learn.curriculum import CURRICULA, Curriculum, Name
from neuraltex.learn.part_weights import SMPL_PARTS, Part, label_parts, weight_map
from neuraltex.learn.warps import PartWarps
from neuraltex.texture.atlas import canonical_positions, make_atlas
from neuraltex.texture.fill import number_charts

WHOLE = Part(0, 1, 0, 1)
"""The whole texture."""
AVERAGED = 64
"""Samples whose maps stand for a rest mesh where there is none."""


def layout_bases(samples: Batches, mesh: Mesh | None, count: int) -> Float[Tensor, "K H W 2"]:
    """Return the bases of the sampler's hypotheses, from a mesh in a symmetric pose or else from the samples' maps."""
    if mesh is not None:
        atlas = make_atlas(mesh, samples.size)
        positions = canonical_positions(atlas.positions(mesh), atlas.inside)
        return base_grids(positions, atlas.normals(mesh), atlas.inside, count)
    inputs, _ = samples.take(range(min(AVERAGED, len(samples))))
    positions, normals = (inputs[name].mean(0).permute(1, 2, 0).cpu().numpy() for name in ("positions", "normals"))
    return base_grids(positions, normals, inputs["inside"][0, 0].cpu().numpy() > 0, count)


def make_parts(
    name: Literal["charts", "smpl"], mesh: Mesh | None, size: tuple[int, int], device: torch.device | str
) -> Float[Tensor, "H W"]:
    """Return the weight map of the parts of a layout.

    Raises:
        DataError: if there is no mesh to tell the charts.
    """
    charts = _charts(mesh, size, "--loss.parts")
    parts = SMPL_PARTS if name == "smpl" else {str(chart): WHOLE for chart in range(charts.max())}
    labels = label_parts(charts, parts) if name == "smpl" else charts
    return torch.from_numpy(weight_map(labels, parts)).to(device)


def make_curriculum(
    name: Name, mesh: Mesh | None, size: tuple[int, int], device: torch.device | str
) -> Curriculum | None:
    """Return a curriculum whose warps move the charts of a layout one by one; ``none`` needs no mesh.

    Raises:
        DataError: if there is no mesh to tell the charts.
    """
    if name == "none":
        return None
    labels = torch.from_numpy(_charts(mesh, size, "--train.curriculum"))
    return Curriculum(CURRICULA[name], PartWarps(labels, device))


def _charts(mesh: Mesh | None, size: tuple[int, int], source: str) -> Int[np.ndarray, "H W"]:
    if mesh is None:
        raise DataError(
            "the parts of a layout are needed, but the data name no mesh",
            source=source,
            hint="Leave it out, or make the data with neuraltex make-avatars",
        )
    return number_charts(mesh, size)
