"""The table that leads from DensePose's 24 squares to a texture: built, checked against the surface, and kept.

``table[part - 1, v, u]`` is the texture coordinate of the surface point that DensePose writes as the bytes
(part, u, v); NaN where the part does not reach. DensePose cuts ``255 u`` off to a byte, so byte b stands for the middle
of b/255 and (b + 1)/255.
"""

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import distance_transform_edt

from neuraltex.core.errors import DataError, ShapeError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.densepose import NUM_PARTS, read_densepose
from neuraltex.io.npz import read_npz, write_npz
from neuraltex.learn.iuv_surface import Surface, lay_on_mesh
from neuraltex.texture.atlas import make_atlas
from neuraltex.texture.layout import Layout, layout_of

SIDE = 256
"""Entries along a side of a part's square: one per byte."""
REACH = 4.0
"""How far the border of a part is continued from its nearest entry, for predictions that miss it [entry]."""
TOLERANCE = 2 / 256
"""Largest median distance at which the table returns surface points [uv]."""
_HINT = "Build it again from UV_Processed.mat and the mesh that is textured"

Table = Float[np.ndarray, "24 256 256 2"]


def build_table(
    part_of_face: Int[np.ndarray, " F"],
    part_uv_corners: Float[np.ndarray, "F 3 2"],
    texture_uv_corners: Float[np.ndarray, "F 3 2"],
    reach: float = REACH,
) -> Table:
    """Draw every face into the square of its part and interpolate its texture coordinates, never between two faces.

    The squares are stacked into one tall texture, part 1 at the bottom, on which the usual rules of drawing hold.

    Args:
        part_of_face: Part of every face, 1 to 24.
        part_uv_corners: Corners in the squares, in [0, 1].
        texture_uv_corners: Corners on the texture, v up.
        reach: Entries around each part that repeat the nearest one of it [entry].

    Raises:
        ShapeError: if the arrays do not belong together.
        DataError: if a part or a coordinate is out of range.
    """
    _check_faces(part_of_face, part_uv_corners, texture_uv_corners)
    stacked = part_uv_corners * ((SIDE - 1) / SIDE)  # entry b has its center at (b + 0.5) / 255 of the part's uv
    stacked[..., 1] = (stacked[..., 1] + part_of_face[:, None] - 1) / NUM_PARTS
    corners = np.arange(3 * len(part_of_face)).reshape(-1, 3)
    tower = Mesh(np.zeros((corners.size, 3)), corners, stacked.reshape(-1, 2), corners)
    atlas = make_atlas(tower, (NUM_PARTS * SIDE, SIDE))
    values = np.where(atlas.inside[..., None], atlas.interpolate(texture_uv_corners), np.float32(np.nan))
    table = np.ascontiguousarray(values[::-1]).reshape(NUM_PARTS, SIDE, SIDE, 2)
    for part in table:
        _extend(part, reach)
    return table


def _check_faces(part: np.ndarray, part_uv: np.ndarray, texture_uv: np.ndarray) -> None:
    if part_uv.shape != (len(part), 3, 2) or texture_uv.shape != part_uv.shape:
        raise ShapeError(f"{len(part)} faces have part uvs {part_uv.shape} and texture uvs {texture_uv.shape}")
    if not len(part) or part.min() < 1 or part.max() > NUM_PARTS:
        raise DataError(f"parts of faces must be 1 to {NUM_PARTS}", source="IUV table", hint=_HINT)
    if not (part_uv.min() >= 0 and part_uv.max() <= 1 and np.isfinite(texture_uv).all()):
        raise DataError(
            f"uvs within parts span {part_uv.min():.3g} to {part_uv.max():.3g}, expected 0 to 1",
            source="IUV table",
            hint="Use the normalized uvs (All_U_norm and All_V_norm)",
        )


def _extend(part: Float[np.ndarray, "256 256 2"], reach: float) -> None:
    """Repeat the nearest entry around the borders and gaps of one part, in place."""
    empty = np.isnan(part[..., 0])
    if not empty.all():
        distance, nearest = distance_transform_edt(empty, return_indices=True)
        near = empty & (distance <= reach)
        part[near] = part[nearest[0][near], nearest[1][near]]


def probe(surface: Surface, count: int = 4096, seed: int = 0) -> Float[np.ndarray, "P 5"]:
    """Return random points of a surface as rows (part, u, v, texture u, texture v); small faces count as large ones."""
    generator = np.random.default_rng(seed)
    face = generator.integers(len(surface.part), size=count)
    weights = generator.dirichlet(np.ones(3), count)[:, None]
    part_uv, texture_uv = ((weights @ uv[face])[:, 0] for uv in (surface.part_uv, surface.texture_uv))
    return np.concatenate([surface.part[face, None], part_uv, texture_uv], 1).astype(np.float32)


def check_table(table: Table, probes: Float[np.ndarray, "P 5"], source: str = "IUV table") -> float:
    """Look points of the surface up as DensePose would write them; returns the median distance [uv].

    Finds tables whose axes are swapped or flipped, or which belong to another texture.

    Raises:
        DataError: if they do not come back.
    """
    part = probes[:, 0].astype(np.int64) - 1
    u, v = np.clip(probes[:, 1:3] * 255, 0, 255).astype(np.int64).T
    found, swapped = (
        float(np.median(np.nan_to_num(np.linalg.norm(table[index] - probes[:, 3:], axis=1), nan=1.0)))
        for index in ((part, v, u), (part, u, v))
    )
    if found > TOLERANCE:
        kind = "indexed [part, u, v] instead of [part, v, u]" if swapped <= TOLERANCE else "not made for this surface"
        raise DataError(
            f"the table is {kind}: points of the surface come back {found:.3f} off, expected at most {TOLERANCE:.4f}",
            source=source,
            hint=_HINT,
        )
    return found


def save_table(path: Path, table: Table, probes: Float[np.ndarray, "P 5"], layout: Layout) -> Path:
    """Keep a table with the points that prove it and the layout of the texture it leads to."""
    text = np.frombuffer(json.dumps(layout.to_plain()).encode(), np.uint8)
    return write_npz(path, {"table": table, "probes": probes, "layout": text})


def load_table(path: Path, mesh: Mesh) -> Table:
    """Read a table for the texture of a mesh.

    Raises:
        DataError: if the file is missing, broken, fails its check, or leads to another uv layout.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist", hint="Check the path, or pass UV_Processed.mat to build a table")
    try:
        arrays = read_npz(path)
        table, probes = arrays["table"], arrays["probes"]
        layout = Layout(**json.loads(arrays["layout"].tobytes()))
    except (DataError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a table of texture coordinates ({error})", hint=_HINT) from error
    if table.shape != (NUM_PARTS, SIDE, SIDE, 2) or probes.shape[1:] != (5,):
        raise DataError(f"{path} holds a table of shape {table.shape}, expected (24, 256, 256, 2)", hint=_HINT)
    layout.require(layout_of(mesh), str(path))
    check_table(table, probes, str(path))
    return table


def load_table_or_build(path: Path, mesh: Mesh, keep: Path | None = None) -> Table:
    """Read a table, or build one from ``UV_Processed.mat`` (any file that ends in ``.mat``), which takes a second.

    Args:
        path: Table or DensePose's file.
        mesh: Mesh that is textured.
        keep: Where to save a table that was built.

    Raises:
        DataError: as :func:`load_table` and :func:`lay_on_mesh`.
    """
    if path.suffix.lower() != ".mat":
        return load_table(path, mesh)
    surface = lay_on_mesh(read_densepose(path), mesh, str(path))
    table, probes = build_table(*surface), probe(surface)
    check_table(table, probes, str(path))
    if keep is not None:
        save_table(keep, table, probes, layout_of(mesh))
    return table
