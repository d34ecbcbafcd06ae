"""The one renderer of every comparison: a textured mesh, ours or a foreign one, seen by a camera.

No lighting, no mip levels, both sides of a face visible; color is filtered in the stored (sRGB) values.
"""

from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from neuraltex.core.conventions import GREY, flip_v
from neuraltex.core.errors import ShapeError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import TexturedMesh
from neuraltex.render import shade_kernels as kernels
from neuraltex.render.fragments import Backend, Rasterizer, make_rasterizer
from neuraltex.render.parallel import for_row_blocks

STRIP_SAMPLES = 2_000_000
"""Samples rendered at once; bounds the memory of large photographs."""


def render_textured(
    textured: TexturedMesh, camera: Camera, mask: Bool[np.ndarray, "H W"] | None = None, supersampling: int = 2
) -> tuple[Float[np.ndarray, "H W 3"], Float[np.ndarray, "H W"]]:
    """Render one view; see :class:`TexturedRenderer`, which is faster for several."""
    return TexturedRenderer(textured).render(camera, mask, supersampling)


class TexturedRenderer:
    """Renders one textured mesh from any number of cameras.

    Convention:
        Each pixel is the mean of ``supersampling^2`` regularly spaced samples. Texels are looked up bilinearly with
        centers at (i + 0.5) / Wt; uv outside [0, 1] repeats, and at the border the lookup clamps. Texels whose
        interpolated alpha is at most one half are holes. Without textures the vertex colors are interpolated.
        Whatever has no color is :data:`neuraltex.core.conventions.GREY` and not covered.

    Args:
        textured: Mesh and its appearance.
        backend: Rasterizer, see :func:`neuraltex.render.fragments.make_rasterizer`.
    """

    def __init__(self, textured: TexturedMesh, backend: Backend = "auto") -> None:
        self._rasterizer: Rasterizer = make_rasterizer(textured.mesh, backend)
        self._textures = textured.textures
        self._corner_values, self._face_texture = _corner_values(textured)

    def render(
        self, camera: Camera, mask: Bool[np.ndarray, "H W"] | None = None, supersampling: int = 2
    ) -> tuple[Float[np.ndarray, "H W 3"], Float[np.ndarray, "H W"]]:
        """Render a view.

        Args:
            camera: Camera; lens distortion is followed exactly.
            mask: Pixels that matter; all others come back grey and uncovered, and most of them cost nothing.
            supersampling: Samples per pixel along each axis.

        Returns:
            Image float32 in [0, 1] and the covered share of every pixel, float32 in [0, 1].

        Raises:
            ShapeError: if the mask does not have the camera's size.
        """
        shape = (camera.height, camera.width)
        if mask is not None and mask.shape != shape:
            raise ShapeError(f"mask has shape {mask.shape}, the camera's image {shape}")
        image, coverage = np.full((*shape, 3), GREY, np.float32), np.zeros(shape, np.float32)
        left, right, low, high = _bounds(mask, shape)
        step = max(1, STRIP_SAMPLES // max(1, (right - left) * supersampling**2))
        for top in range(low, high, step):
            window = (slice(top, min(top + step, high)), slice(left, right))
            color, covered = self._render_window(camera, window, supersampling)
            coverage[window] = covered / supersampling**2
            image[window] = color / (255 * supersampling**2) + GREY * (1 - coverage[window][..., None])
        if mask is not None:
            image[~mask], coverage[~mask] = GREY, 0
        return image, coverage

    def _render_window(
        self, camera: Camera, window: tuple[slice, slice], samples: int
    ) -> tuple[Float[np.ndarray, "h w 3"], Float[np.ndarray, "h w"]]:
        """Sum of the colors (0..255) of covered samples, and their number, for every pixel of a window."""
        fragments = self._rasterizer.render(_crop(camera, window, samples))
        face_idx, bary = fragments.face_idx.cpu().numpy(), fragments.bary.cpu().numpy()
        shape = (face_idx.shape[0] // samples, face_idx.shape[1] // samples)
        color, covered = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
        if self._corner_values is None:
            return color, covered
        common = (face_idx, bary, self._corner_values, samples, color, covered)
        for index, texture in enumerate(self._textures):
            wanted, texels = self._face_texture == index, np.ascontiguousarray(texture)
            for_row_blocks(partial(kernels.add_texture, *common, wanted, texels), len(color))
        if not self._textures:
            for_row_blocks(partial(kernels.add_vertex_colors, *common), len(color))
        return color, covered


def _corner_values(textured: TexturedMesh) -> tuple[np.ndarray | None, np.ndarray]:
    """Per face corner: uv with v *down* (image rows) or color 0..255; and the texture of each face."""
    mesh, index = textured.mesh, textured.face_texture_idx
    index = np.zeros(mesh.num_faces, np.int64) if index is None else np.asarray(index)
    if textured.textures and mesh.has_uv:
        return flip_v(mesh.corner_uvs), index
    colors = textured.vertex_colors
    return (None if colors is None else np.asarray(colors, np.float64)[mesh.faces] * 255), index


def _bounds(mask: np.ndarray | None, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, right, top and bottom of the smallest window that holds the mask."""
    if mask is None:
        return 0, shape[1], 0, shape[0]
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return (columns[0], columns[-1] + 1, rows[0], rows[-1] + 1) if len(rows) else (0, 0, 0, 0)


def _crop(camera: Camera, window: tuple[slice, slice], samples: int) -> Camera:
    """Camera whose pixels are the samples of a window: the supersampled image, cut out."""
    rows, columns = window
    fine = camera.scaled(camera.width * samples, camera.height * samples)
    return replace(
        fine,
        width=(columns.stop - columns.start) * samples,
        height=(rows.stop - rows.start) * samples,
        cx=fine.cx - columns.start * samples,
        cy=fine.cy - rows.start * samples,
    )
