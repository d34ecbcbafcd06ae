"""Texture coordinates for a mesh that has none, in bounded time.

``fast`` clusters faces by their normals and flattens each cluster as rigidly as possible (see ``fast_charts.py``).
``xatlas`` needs superlinear time on large charts and falls apart on noise. So the surface is cut into spatial blocks,
which are charted in child processes; blocks that xatlas does not finish get simple planar charts. Both look at a
smoothed copy of a noisy surface, and pack all charts together.
"""

import os
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.errors import DataError
from neuraltex.core.runtime import logger, progress
from neuraltex.geometry.blocks import spatial_blocks
from neuraltex.geometry.charting import Block, chart_blocks
from neuraltex.geometry.charts import Charts, join, signed_areas, triangle_areas
from neuraltex.geometry.fast_charts import fast_charts
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.pack import pack_charts
from neuraltex.geometry.planar_charts import planar_charts
from neuraltex.geometry.repair import MIN_AREA_RATIO, drop_bad_faces, remove_overlaps
from neuraltex.geometry.topology import face_adjacency, num_irregular_edges, smooth, split_non_manifold, weld
from neuraltex.geometry.uv_quality import UvQuality, l2_stretch, measure_uv

Method = Literal["fast", "xatlas"]

DEGENERATE = 1e-10
"""A face counts as having no area when area / (longest edge)^2 is below."""
MAX_STRETCH = 1.25
"""L2 stretch from which on a block is charted again without smoothing."""
SMOOTHING = 6
"""Taubin iterations for rough surfaces; more of them distorts slivers and makes charts worse, not fewer."""


@dataclass(frozen=True)
class UnwrapReport:
    """What an unwrap did and how good it is.

    Args:
        method: ``fast``, or ``xatlas``, ``planar`` or ``xatlas+planar`` when some blocks had to fall back.
        seconds: Duration [s].
        blocks: Number of blocks (``fast`` has one); ``planar_blocks`` of them fell back to planar charts.
        planar_blocks: See ``blocks``.
        smoothing: Taubin iterations on the copy used for charting; 0 when the surface is smooth enough.
        split_edges: Non-manifold edges that were cut.
        degenerate_faces: Faces without area; all their corners share one uv.
        quality: Charts, utilization, texel density, stretch.
    """

    method: str
    seconds: float
    blocks: int
    planar_blocks: int
    smoothing: int
    split_edges: int
    degenerate_faces: int
    quality: UvQuality

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, the quality's fields among the others."""
        values = asdict(self)
        quality = values.pop("quality")
        return {**values, **quality}

    def __str__(self) -> str:
        """One line for a log."""
        return f"unwrapped with {self.method} in {self.seconds:.1f} s: {self.quality}"


@dataclass(frozen=True, eq=False)
class _Surface:
    """The part of a mesh that can be charted: faces with area, welded, cut at non-manifold edges."""

    vertices: Float[np.ndarray, "W 3"]
    faces: Int[np.ndarray, "F 3"]
    adjacency: Int[np.ndarray, "E 2"]


def unwrap(
    mesh: Mesh,
    *,
    texture_size: int = 2048,
    method: Method = "fast",
    block_faces: int = 1500,
    time_budget: float = 600.0,
    gutter: float = 4.0,
    smoothing: int | None = None,
    workers: int | None = None,
) -> tuple[Mesh, UnwrapReport]:
    """Give a mesh new texture coordinates without overlaps; vertices and the order of faces stay as they are.

    Args:
        mesh: Surface; existing uvs are ignored.
        texture_size: Side of the texture the gutter and the texel density refer to [texel].
        method: ``fast``, or ``xatlas``, which takes ten times longer for no better charts.
        block_faces: xatlas: faces per block; smaller blocks take less time and give more charts.
        time_budget: xatlas: time for charting [s]; what is not done by then gets planar charts.
        gutter: Free distance between charts [texel].
        smoothing: Taubin iterations on the copy used for charting; None chooses by the roughness of the surface.
        workers: xatlas: child processes; None takes one per core.

    Returns:
        The mesh with uvs in [0, 1]^2 and a report.

    Raises:
        DataError: if no face has an area.
        MissingDependency: if xatlas is asked for and not installed.
    """
    start = time.monotonic()
    welded = weld(mesh.vertices, mesh.faces)
    solid = np.flatnonzero(_has_area(mesh))
    if not len(solid):
        raise DataError(f"none of the mesh's {mesh.num_faces} faces has an area", hint="Give another mesh")
    surface = _prepare(mesh.vertices, welded[solid])
    smoothing = _choose_smoothing(surface) if smoothing is None else smoothing
    proxy = smooth(surface.vertices, surface.faces, smoothing)
    num_blocks, num_planar = 1, 0
    if method == "fast":
        charts = fast_charts(surface.vertices, surface.faces, proxy, rough=smoothing > 0)
    else:
        charts, num_blocks, num_planar = _chart_with_xatlas(
            surface, proxy, block_faces, time_budget, workers or os.cpu_count() or 1
        )
    corners = surface.vertices[surface.faces]
    charts = drop_bad_faces(charts, corners)
    charts = pack_charts(remove_overlaps(charts, corners), texture_size, gutter)
    result = mesh.with_uv(charts.uvs, _with_degenerate(welded, solid, charts.uv_faces))
    report = UnwrapReport(
        method=method if not num_planar else "planar" if num_planar == num_blocks else "xatlas+planar",
        seconds=round(time.monotonic() - start, 3),
        blocks=num_blocks,
        planar_blocks=num_planar,
        smoothing=smoothing,
        split_edges=num_irregular_edges(welded[solid]),
        degenerate_faces=mesh.num_faces - len(solid),
        quality=measure_uv(result, texture_size),
    )
    logger.info("%s", report)
    return result, report


def _has_area(mesh: Mesh) -> np.ndarray:
    longest = np.square(mesh.corners - np.roll(mesh.corners, 1, axis=1)).sum(2).max(1)
    return mesh.face_areas > DEGENERATE * longest


def _prepare(vertices: np.ndarray, faces: np.ndarray) -> _Surface:
    faces, source = split_non_manifold(faces)
    return _Surface(vertices[source], faces, face_adjacency(faces))


def _choose_smoothing(surface: _Surface) -> int:
    """Smooth where neighboring faces typically meet at a marked angle though the mesh is fine: noise, not shape."""
    normals = Mesh(surface.vertices, surface.faces).face_normals[surface.adjacency]
    cosine = (normals[:, 0] * normals[:, 1]).sum(1).clip(-1, 1)
    angle = np.degrees(np.arccos(np.median(cosine))) if len(cosine) else 0.0
    return SMOOTHING if len(surface.faces) >= 2000 and angle >= 3 else 0


def _chart_with_xatlas(
    surface: _Surface, proxy: np.ndarray, block_faces: int, seconds: float, workers: int
) -> tuple[Charts, int, int]:
    """Chart all blocks; returns the charts in the order of the faces and the numbers of blocks and of planar ones."""
    deadline = time.monotonic() + seconds
    label = spatial_blocks(surface.vertices[surface.faces].mean(1), surface.adjacency, block_faces)
    members = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])
    blocks = [_extract(proxy, surface.faces[faces]) for faces in members]
    parts = _run_blocks(blocks, deadline, workers)
    num_planar = sum(part is None for part in parts)
    if num_planar:
        logger.warning("%d of %d blocks get simple planar charts (time budget %g s)", num_planar, len(blocks), seconds)
    done = [planar_charts(*block) if part is None else part for part, block in zip(parts, blocks, strict=True)]
    if proxy is not surface.vertices:
        done = _limit_stretch(
            done, [_extract(surface.vertices, surface.faces[faces]) for faces in members], deadline, workers
        )
    return join(done, members, len(surface.faces)), len(blocks), num_planar


def _run_blocks(blocks: list[Block], deadline: float, workers: int) -> list[Charts | None]:
    parts: list[Charts | None] = [None] * len(blocks)
    results = chart_blocks(blocks, seconds=deadline - time.monotonic(), workers=workers)
    for index, charts in progress(results, total=len(blocks), label="unwrapping blocks", unit="block"):
        parts[index] = charts
    return parts


def _limit_stretch(done: list[Charts], blocks: list[Block], deadline: float, workers: int) -> list[Charts]:
    """Chart blocks that smoothing distorted again, this time as they are, and keep what stretches less."""
    corners = [vertices[faces] for vertices, faces in blocks]
    stretch = [_stretch(charts, triangles) for charts, triangles in zip(done, corners, strict=True)]
    bad = [index for index, value in enumerate(stretch) if value > MAX_STRETCH]
    if not bad:
        return done
    logger.info("%d of %d blocks are charted again without smoothing", len(bad), len(blocks))
    done = list(done)
    for index, charts in zip(bad, _run_blocks([blocks[i] for i in bad], deadline, workers), strict=True):
        if charts is not None and _stretch(charts, corners[index]) < stretch[index]:
            done[index] = charts
    return done


def _stretch(charts: Charts, corners: np.ndarray) -> float:
    """L2 stretch after every chart got the size of its surface."""
    areas = triangle_areas(corners)
    charts = charts.to_world_scale(areas)
    useful = np.abs(signed_areas(charts.corners)) > MIN_AREA_RATIO * areas
    return l2_stretch(corners[useful], charts.corners[useful])


def _extract(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a block out, scaled to edges of about unit length around the origin, where float32 and xatlas are at ease."""
    used, inverse = np.unique(faces, return_inverse=True)
    points, faces = vertices[used], inverse.reshape(-1, 3)
    edge = np.linalg.norm(points[faces[:, 1]] - points[faces[:, 0]], axis=1).mean()
    return (points - points.mean(0)) / max(edge, 1e-300), faces


def _with_degenerate(welded: np.ndarray, solid: np.ndarray, uv_faces: np.ndarray) -> np.ndarray:
    """Add the faces without area: all corners at one uv of a neighbor, so that they cover no texel."""
    at_vertex = np.full(welded.max() + 1, -1)
    at_vertex[welded[solid]] = uv_faces
    full = np.repeat(np.maximum(at_vertex[welded].max(1), 0)[:, None], 3, axis=1)
    full[solid] = uv_faces
    return full
