"""Charts: pieces of a surface laid out flat, before they are packed into one texture."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from neuraltex.geometry.topology import components, components_within, face_adjacency


@dataclass(frozen=True, eq=False)
class Charts:
    """Flat pieces that may lie on top of each other.

    Args:
        uvs: Positions in the plane; the unit is [world] after :meth:`to_world_scale`. Each belongs to one chart.
        uv_faces: Corners of every face.
        label: Chart of every face, numbered from 0 without gaps.
    """

    uvs: Float[np.ndarray, "U 2"]
    uv_faces: Int[np.ndarray, "F 3"]
    label: Int[np.ndarray, " F"]

    @property
    def num_charts(self) -> int:
        """Number of charts."""
        return int(self.label.max(initial=-1)) + 1

    @property
    def corners(self) -> Float[np.ndarray, "F 3 2"]:
        """Corner positions of every face."""
        return self.uvs[self.uv_faces]

    @property
    def uv_label(self) -> Int[np.ndarray, " U"]:
        """Chart of every uv."""
        label = np.zeros(len(self.uvs), np.int64)
        label[self.uv_faces] = self.label[:, None]
        return label

    def to_world_scale(self, areas: Float[np.ndarray, " F"]) -> "Charts":
        """Scale every chart so that it is as large as the surface it covers, given the areas of the faces [world^2]."""
        surface = np.bincount(self.label, areas, self.num_charts)
        flat = np.bincount(self.label, np.abs(signed_areas(self.corners)), self.num_charts)
        scale = np.sqrt(np.divide(surface, flat, out=np.ones_like(surface), where=flat > 0))
        return Charts(self.uvs * scale[self.uv_label, None], self.uv_faces, self.label)

    def detach(self, faces: Bool[np.ndarray, " F"]) -> "Charts":
        """Cut some faces (a mask) off their charts; those that are connected stay together."""
        label = components_within(face_adjacency(self.uv_faces), self.label * 2 + faces)
        return assemble(self.uvs, self.uv_faces, label)

    def tidy(self) -> "Charts":
        """Return the same layout with unused uvs dropped and charts without faces left out."""
        return assemble(self.uvs, self.uv_faces, self.label)


def assemble(uvs: Float[np.ndarray, "U 2"], uv_faces: Int[np.ndarray, "F 3"], label: Int[np.ndarray, " F"]) -> Charts:
    """Make charts in which no two share a uv: points are duplicated per chart, unused ones are dropped."""
    label = np.unique(label, return_inverse=True)[1].reshape(-1)
    stride = int(label.max(initial=0)) + 1
    key, inverse = np.unique(uv_faces * stride + label[:, None], return_inverse=True)
    return Charts(uvs[key // stride], inverse.reshape(-1, 3), label)


def join(parts: Iterable[Charts], faces: Iterable[Int[np.ndarray, " B"]], num_faces: int) -> Charts:
    """Put charts of disjoint sets of faces together; ``faces`` tells where the faces of each part belong."""
    uvs, uv_faces, label = [], np.zeros((num_faces, 3), np.int64), np.zeros(num_faces, np.int64)
    num_uvs = num_charts = 0
    for part, index in zip(parts, faces, strict=True):
        uvs.append(part.uvs)
        uv_faces[index] = part.uv_faces + num_uvs
        label[index] = part.label + num_charts
        num_uvs, num_charts = num_uvs + len(part.uvs), num_charts + part.num_charts
    return Charts(np.concatenate([np.zeros((0, 2)), *uvs]), uv_faces, label)


def signed_areas(corners: Float[np.ndarray, "F 3 2"]) -> Float[np.ndarray, " F"]:
    """Areas of flat triangles, positive where counter-clockwise."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2


def triangle_areas(corners: Float[np.ndarray, "F 3 3"]) -> Float[np.ndarray, " F"]:
    """Areas of triangles in space [world^2]."""
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2


def flatten_each(corners: Float[np.ndarray, "F 3 3"]) -> Charts:
    """Lay every triangle into the plane on its own, without any distortion."""
    along = corners[:, 1] - corners[:, 0]
    other = corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(along, axis=1)
    x = np.divide((along * other).sum(1), length, out=np.zeros_like(length), where=length > 0)
    height = np.linalg.norm(np.cross(along, other), axis=1)
    y = np.divide(height, length, out=np.zeros_like(length), where=length > 0)
    zero = np.zeros_like(x)
    uvs = np.stack([zero, zero, length, zero, x, y], 1).reshape(-1, 2)
    return Charts(uvs, np.arange(3 * len(corners)).reshape(-1, 3), np.arange(len(corners)))


def chart_components(uv_faces: Int[np.ndarray, "F 3"], num_uvs: int) -> Int[np.ndarray, " F"]:
    """Chart of every face of a finished layout: faces that share a uv belong together."""
    flat = uv_faces.reshape(-1)
    links = np.stack([flat, np.roll(uv_faces, -1, axis=1).reshape(-1)], 1)
    _, label = components(links, num_uvs)
    return np.unique(label[uv_faces[:, 0]], return_inverse=True)[1].reshape(-1)
