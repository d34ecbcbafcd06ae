"""Mirror images on a texture: for each texel, the texel that shows the same place on the other side of the body."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from neuraltex.core.conventions import texel_from_uv
from neuraltex.core.errors import ShapeError
from neuraltex.core.runtime import cpu_threads
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.nearest import closest_bary
from neuraltex.geometry.symmetry import FACING, NEAR, Plane, box_diagonal
from neuraltex.texture.atlas import Atlas
from neuraltex.texture.fill import number_charts

MIN_SHARE = 0.5
"""Share of a bilinear lookup that must fall on known texels for a mirrored texel to count as known."""
MAX_GAIN = 1.4
"""Gains between both sides of a body are kept between :data:`MIN_GAIN` and this."""
MIN_GAIN = 0.7
"""See :data:`MAX_GAIN`."""

_CANDIDATES = 8
_BLOCK = 1 << 14  # texels whose candidates are compared at a time; bounds the memory
_MIN_OVERLAP = 32  # texels from which a gain is measured


@dataclass(frozen=True, eq=False)
class SymmetryMap:
    """Where the mirror image of every texel lies, for all poses of one uv layout.

    Args:
        texels: Texel coordinates (x right, y down, the center of row j and column i is (i, j)) of the mirror image;
            0 where there is none (float32).
        ok: Texels whose mirror image lies on the surface and faces the same way.
        group: Chart and side of the plane that each texel belongs to, numbered from 0; -1 outside charts (int32).
        plane: The plane of symmetry of the rest mesh.
    """

    texels: Float[np.ndarray, "Ht Wt 2"]
    ok: Bool[np.ndarray, "Ht Wt"]
    group: Int[np.ndarray, "Ht Wt"]
    plane: Plane


def symmetry_map(mesh: Mesh, atlas: Atlas, plane: Plane) -> SymmetryMap:
    """Find the mirror image of every texel on the surface, once per layout and size.

    The point of each texel is reflected; the closest points of the faces around the nearest texels (near in position
    and normal, so that thin parts do not take their back) are compared, and the best one's uv is the answer, finer
    than texels are.

    Args:
        mesh: In its symmetric rest pose, with uvs.
        atlas: Of that mesh.
        plane: From :func:`neuraltex.geometry.symmetry.find_plane`.
    """
    inside, radius = atlas.inside, NEAR * box_diagonal(mesh)
    points, normals = atlas.positions(mesh)[inside].astype(np.float64), atlas.normals(mesh)[inside].astype(np.float64)
    wanted, turned = plane.reflect(points), plane.reflect_directions(normals)
    faces = _faces_near(wanted, turned, points, normals, atlas.face_idx[inside], radius)
    face, bary, ok = _closest_on_faces(mesh, wanted, turned, faces, radius)
    height, width = inside.shape
    found = np.einsum("pk,pkc->pc", bary, mesh.corner_uvs[face])
    texels, is_ok = np.zeros((height, width, 2), np.float32), np.zeros(inside.shape, np.bool_)
    texels[inside] = np.where(ok[:, None], np.stack(texel_from_uv(found, width, height), -1), 0)
    is_ok[inside] = ok
    group = number_charts(mesh, (height, width)) * 2 - 2
    group[inside] += plane.distances(points) > 0
    return SymmetryMap(texels, is_ok, np.where(inside, group, -1).astype(np.int32), plane)


def _faces_near(
    wanted: Float[np.ndarray, "P 3"],
    turned: Float[np.ndarray, "P 3"],
    points: Float[np.ndarray, "Q 3"],
    normals: Float[np.ndarray, "Q 3"],
    face_idx: Int[np.ndarray, " Q"],
    radius: float,
) -> Int[np.ndarray, "P K"]:
    """Return the faces of the texels nearest in position and normal; a turn by 1 rad counts as ``radius``."""
    from scipy.spatial import KDTree  # noqa: PLC0415  loads slowly and few need it

    tree = KDTree(np.concatenate([points, radius * normals], 1))
    _, near = tree.query(
        np.concatenate([wanted, radius * turned], 1), k=min(_CANDIDATES, len(points)), workers=cpu_threads()
    )
    return face_idx[near.reshape(len(wanted), -1)]


def _closest_on_faces(
    mesh: Mesh,
    wanted: Float[np.ndarray, "P 3"],
    turned: Float[np.ndarray, "P 3"],
    faces: Int[np.ndarray, "P K"],
    radius: float,
) -> tuple[Int[np.ndarray, " P"], Float[np.ndarray, "P 3"], Bool[np.ndarray, " P"]]:
    """Return the best face of each row of candidates, where on it, and whether that is a mirror image."""
    normals = mesh.vertex_normals
    face, bary, ok = np.empty(len(faces), faces.dtype), np.empty((len(faces), 3)), np.empty(len(faces), np.bool_)
    for begin in range(0, len(faces), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        face[rows], bary[rows], ok[rows] = _choose(mesh, normals, wanted[rows], turned[rows], faces[rows], radius)
    return face, bary, ok


def _choose(
    mesh: Mesh, smooth: np.ndarray, wanted: np.ndarray, turned: np.ndarray, faces: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do the work of :func:`_closest_on_faces` for a block of points; ``smooth`` are the normals of the vertices."""
    corners = mesh.corners[faces]
    pairs = np.repeat(wanted, faces.shape[1], axis=0), corners.reshape(-1, 3, 3)
    bary = closest_bary(*pairs).reshape(*faces.shape, 3)
    places = np.einsum("pkj,pkjc->pkc", bary, corners)
    normals = np.einsum("pkj,pkjc->pkc", bary, smooth[mesh.faces[faces]])
    gap = np.linalg.norm(places - wanted[:, None], axis=-1)
    cosine = np.einsum("pkc,pc->pk", normals, turned) / np.maximum(np.linalg.norm(normals, axis=-1), 1e-12)
    rows, best = np.arange(len(faces)), (gap + radius * (1 - cosine)).argmin(1)
    ok = (gap[rows, best] < radius) & (cosine[rows, best] > FACING)
    return faces[rows, best], bary[rows, best], ok


@dataclass(frozen=True, eq=False)
class Observed:
    """What is known of a texture: read from a photograph, perhaps completed by its mirror image.

    Args:
        color: In [0, 1]; 0 where unknown (float32).
        direct: Texels that the photograph shows.
        mirrored: Texels known from their mirror image only.
        confidence: In [0, 1]; 0 where unknown (float32).
        source: Place in the photograph, in [0, 1] of its width and height from the upper left corner; NaN where
            unknown (float32).
    """

    color: Float[np.ndarray, "Ht Wt 3"]
    direct: Bool[np.ndarray, "Ht Wt"]
    mirrored: Bool[np.ndarray, "Ht Wt"]
    confidence: Float[np.ndarray, "Ht Wt"]
    source: Float[np.ndarray, "Ht Wt 2"]


def complete_by_mirror(
    seen: Observed, symmetry: SymmetryMap, confidence: float = 0.5, *, match_gains: bool = False
) -> Observed:
    """Fill texels that no photograph shows with what it shows of their mirror images: ``T M + T_m M_m (1 - M)``.

    After B. AlBahar et al., "Pose with Style", SIGGRAPH Asia 2021. The lookup is bilinear over known texels only.

    Args:
        seen: Without mirrored texels.
        symmetry: Of the same size.
        confidence: Share of the confidence that survives mirroring.
        match_gains: Multiply mirrored colors by one gain per channel, chart and side of the body, measured where both
            a texel and its mirror image are seen, within :data:`MIN_GAIN` and :data:`MAX_GAIN`.

    Raises:
        ShapeError: if the sizes differ.
    """
    if symmetry.ok.shape != seen.direct.shape:
        raise ShapeError(f"the symmetry map has shape {symmetry.ok.shape}, the texture {seen.direct.shape}")
    looked_up, share = _look_up(seen, symmetry)
    usable = symmetry.ok & (share > MIN_SHARE)
    color, mirrored = looked_up[..., :3], usable & ~seen.direct
    if match_gains:
        gain = _gains(seen, color, symmetry.group, usable & seen.direct)
        color = (color * gain[symmetry.group]).clip(0, 1)
    return replace(
        seen,
        color=np.where(mirrored[..., None], color, seen.color),
        mirrored=mirrored,
        confidence=np.where(mirrored, looked_up[..., 3] * np.float32(confidence), seen.confidence),
        source=np.where(mirrored[..., None], looked_up[..., 4:], seen.source),
    )


def _look_up(seen: Observed, symmetry: SymmetryMap) -> tuple[Float[np.ndarray, "Ht Wt 6"], Float[np.ndarray, "Ht Wt"]]:
    """Color, confidence and source at the mirror image of every texel, and the share of the lookup that is known."""
    maps = np.concatenate([seen.color, seen.confidence[..., None], seen.source], -1)
    maps[~seen.direct] = 0
    height, width = seen.direct.shape
    total = np.zeros((*symmetry.ok.shape, 6), np.float32)
    share = np.zeros(symmetry.ok.shape, np.float32)
    x, y = (symmetry.texels[..., axis].clip(0, size - 1) for axis, size in ((0, width), (1, height)))
    column, row = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
    for down in (0, 1):
        for right in (0, 1):
            j, i = np.minimum(row + down, height - 1), np.minimum(column + right, width - 1)
            weight = np.abs(1 - down - (y - row)) * np.abs(1 - right - (x - column)) * seen.direct[j, i]
            total += maps[j, i] * weight[..., None]
            share += weight
    return total / np.maximum(share, 1e-6)[..., None], share


def _gains(
    seen: Observed, mirrored: Float[np.ndarray, "Ht Wt 3"], group: Int[np.ndarray, "Ht Wt"], overlap: np.ndarray
) -> Float[np.ndarray, "G 3"]:
    """Gain of every group, the ratio of the sums of both colors; 1 where few texels are seen on both sides.

    Both sides of a chart need gains of their own: over both together each pair of texels would count in both orders.
    """
    number, count = group[overlap], int(group.max(initial=0)) + 1
    weight = seen.confidence[overlap]
    ratio = np.ones((count, 3), np.float32)
    enough = np.bincount(number, minlength=count) >= _MIN_OVERLAP
    for channel in range(3):
        ours = np.bincount(number, weight * seen.color[overlap][:, channel], count)
        theirs = np.bincount(number, weight * mirrored[overlap][:, channel], count)
        ratio[:, channel] = np.where(enough & (theirs > 0), ours / np.maximum(theirs, 1e-6), 1)
    return ratio.clip(MIN_GAIN, MAX_GAIN).astype(np.float32)
