"""How well texture coordinates use a texture: charts, utilization, texel density, stretch."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from neuraltex.geometry.charts import chart_components, signed_areas, triangle_areas
from neuraltex.geometry.mesh import Mesh


@dataclass(frozen=True)
class UvQuality:
    """Figures of a uv layout.

    Args:
        num_faces: Faces.
        charts: Connected pieces.
        utilization: Fraction of the texture that faces cover (overlaps count twice).
        texture_size: Side of the texture that densities refer to [texel].
        density: Median texel density, weighted by area [texel / world].
        density_p5: 5th percentile [texel / world].
        density_p95: 95th percentile [texel / world].
        stretch: Root mean square stretch (L2 of Sander et al. 2001, "Texture mapping progressive meshes"), 1 when
            the layout is isometric up to one common scale.
    """

    num_faces: int
    charts: int
    utilization: float
    texture_size: int
    density: float
    density_p5: float
    density_p95: float
    stretch: float

    def __str__(self) -> str:
        """One line for a log."""
        return (
            f"{self.num_faces} faces in {self.charts} charts, {self.utilization:.0%} of the texture used, "
            f"{self.density:.4g} texels per world unit at {self.texture_size} "
            f"(5-95 %: {self.density_p5:.4g}-{self.density_p95:.4g}), stretch {self.stretch:.3f}"
        )


def measure_uv(mesh: Mesh, texture_size: int) -> UvQuality:
    """Measure the texture coordinates of a mesh.

    Raises:
        DataError: if it has none.
    """
    corners = mesh.corner_uvs
    flat, areas = np.abs(signed_areas(corners)), mesh.face_areas
    useful = (flat > 0) & (areas > 0)
    low, median, high = _weighted_percentiles(np.sqrt(flat[useful] / areas[useful]) * texture_size, areas[useful])
    return UvQuality(
        num_faces=mesh.num_faces,
        charts=_num_charts(mesh),
        utilization=float(flat.sum()),
        texture_size=texture_size,
        density=median,
        density_p5=low,
        density_p95=high,
        stretch=l2_stretch(mesh.corners[useful], corners[useful]),
    )


def _num_charts(mesh: Mesh) -> int:
    """Connected pieces of the layout; faces without area belong to none."""
    if mesh.uvs is None or mesh.uv_faces is None:
        return 0
    return int(chart_components(mesh.uv_faces[mesh.face_areas > 0], len(mesh.uvs)).max(initial=-1)) + 1


def l2_stretch(corners: Float[np.ndarray, "F 3 3"], uvs: Float[np.ndarray, "F 3 2"]) -> float:
    """L2 stretch of the map from the plane to the surface, normalized by the common scale; 1 is isometric."""
    if not len(corners):
        return 1.0
    edges = np.stack([uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]], 1)
    spans = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], 1)
    areas = triangle_areas(corners)
    flat = np.abs(np.linalg.det(edges)) / 2
    jacobian = np.linalg.solve(edges, spans)
    stretch = (jacobian**2).sum((1, 2)) / 2
    return float(np.sqrt((stretch * areas).sum() / areas.sum() * flat.sum() / areas.sum()))


def _weighted_percentiles(values: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    if not len(values):
        return 0.0, 0.0, 0.0
    order = np.argsort(values)
    position = np.cumsum(weights[order]) / weights.sum()
    low, median, high = values[order][np.searchsorted(position, (0.05, 0.5, 0.95)).clip(max=len(values) - 1)]
    return float(low), float(median), float(high)
