"""How a mesh lies on its texture, as far as a prior needs to know."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.conventions import texel_from_uv
from neuraltex.geometry.charts import chart_components
from neuraltex.geometry.mesh import Mesh
from neuraltex.texture.fill import number_faces

LARGEST = 100.0
"""Texels are taken for at most so many times the area of the median texel, and at least for that part of it."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Charts and the scale of the texture on them.

    Args:
        charts: Number of the chart of each texel, from 1; 0 is none (int32).
        area: Area of the surface that each texel covers, relative to the median; 1 between charts (float32).
    """

    charts: Int[np.ndarray, "Ht Wt"]
    area: Float[np.ndarray, "Ht Wt"]

    @classmethod
    def of(cls, mesh: Mesh, size: tuple[int, int]) -> "Surface":
        """Lay a mesh out on a texture of (Ht, Wt).

        Raises:
            DataError: if the mesh has no uvs.
        """
        number = number_faces(mesh, size)
        assert mesh.uv_faces is not None
        assert mesh.uvs is not None
        inside = number > 0
        face = number[inside] - 1
        charts, area = np.zeros(size, np.int32), np.ones(size, np.float32)
        charts[inside] = chart_components(mesh.uv_faces, len(mesh.uvs))[face] + 1
        area[inside] = _relative(_texel_areas(mesh, size)[face])
        return cls(charts, area)


def _texel_areas(mesh: Mesh, size: tuple[int, int]) -> Float[np.ndarray, " F"]:
    """Return the area of the surface that a texel of each face covers [world^2]."""
    corners = np.stack(texel_from_uv(mesh.corner_uvs, size[1], size[0]), -1)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    texels = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    return np.asarray(mesh.face_areas / np.maximum(texels, 1e-12))


def _relative(areas: Float[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
    median = float(np.median(areas)) if len(areas) else 1.0
    return (areas / max(median, 1e-30)).clip(1 / LARGEST, LARGEST)
