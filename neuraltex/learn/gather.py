"""Reading a photograph at every texel: where each texel lies in it, whether it shows it, and how well.

Convention:
    Everything that depends on mesh and camera alone is computed once (:func:`gather_from_view`); photographs of the
    same body by the same camera are then read in no time.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped

from neuraltex.config.partial import PartialConfig
from neuraltex.core.conventions import HALF_PIXEL, flip_v
from neuraltex.core.errors import DataError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.charts import signed_areas
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.symmetry import box_diagonal
from neuraltex.render.discontinuity import distance_to, find_discontinuities
from neuraltex.render.embree_backend import EmbreeRasterizer
from neuraltex.render.fragments import make_rasterizer, render_depth
from neuraltex.texture.atlas import Atlas
from neuraltex.texture.mirror import Observed
from neuraltex.texture.sample import build_mip_pyramid, sample_mip

LEAST_CONFIDENCE = 0.01
"""Confidence of a texel that is barely seen; 0 means not at all."""
SHARPNESS = 0.5
"""Size of the pixels of the mip level that is read, relative to a texel's footprint: a bilinear lookup averages over
two of them. Against textures averaged to the texel this is 3 to 7 dB better than 1, and 0.25 is aliased."""
_LEVELS = 6  # of the mip chain: footprints up to 64 px
_REACH = 1.5  # pixels of its level that a bilinear lookup reaches to either side


@dataclass(frozen=True, eq=False)
class Gather:
    """Where a photograph shows texels, for all photographs by one camera of one posed mesh.

    Args:
        texels: Rows and columns of the texels that the camera sees.
        pixels: Where, from the upper left corner of the image [px].
        footprint: Side of the square of pixels that each texel covers [px].
        confidence: How far each is to be trusted by angle, resolution and distance to depth discontinuities.
        in_front: Pixels that show the mesh.
        shape: Of the texture (Ht, Wt).
        config: How it was made.
    """

    texels: tuple[Int[np.ndarray, " T"], Int[np.ndarray, " T"]]
    pixels: Float[np.ndarray, "T 2"]
    footprint: Float[np.ndarray, " T"]
    confidence: Float[np.ndarray, " T"]
    in_front: Bool[np.ndarray, "H W"]
    shape: tuple[int, int]
    config: PartialConfig

    def read(self, image: Shaped[np.ndarray, "H W 3"], matte: Bool[np.ndarray, "H W"] | None = None) -> Observed:
        """Read a photograph: trilinearly, at the level of the mip chain whose pixels are as large as the texels.

        Args:
            image: 8 bit or in [0, 1].
            matte: Pixels of the person; its border is eroded.

        Raises:
            DataError: if the image or the matte does not have the camera's size, or the matte leaves nothing.
        """
        self._check(image, matte)
        confidence = self.confidence * self._trust_matte(matte)
        kept = confidence > 0
        index = (self.texels[0][kept], self.texels[1][kept])
        size = np.array(image.shape[1::-1], np.float32)
        direct, color = np.zeros(self.shape, np.bool_), np.zeros((*self.shape, 3), np.float32)
        trust, source = np.zeros(self.shape, np.float32), np.full((*self.shape, 2), np.nan, np.float32)
        direct[index] = True
        color[index] = read_footprints(image, self.pixels[kept], self.footprint[kept])
        trust[index] = np.maximum(confidence[kept], LEAST_CONFIDENCE)
        source[index] = self.pixels[kept] / size
        return Observed(color, direct, np.zeros_like(direct), trust, source)

    def _trust_matte(self, matte: np.ndarray | None) -> Float[np.ndarray, " T"]:
        if matte is None:
            return np.ones(len(self.pixels), np.float32)
        distance = _least_around(distance_to(~matte), self.pixels)
        return _ramp(distance, self.config.matte_erosion, self.footprint, self.config.ramp)

    def _check(self, image: np.ndarray, matte: np.ndarray | None) -> None:
        height, width = self.in_front.shape
        if image.shape != (height, width, 3):
            raise DataError(
                f"the photograph is {image.shape[1]}x{image.shape[0]} but its camera says {width}x{height}",
                hint="Give the camera of this photograph, at its size",
            )
        if matte is None:
            return
        if matte.shape != (height, width):
            raise DataError(
                f"the matte is {matte.shape[1]}x{matte.shape[0]} but its photograph is {width}x{height}",
                hint="Mattes must have the size of their photographs",
            )
        if not matte.any():
            raise DataError("the matte is empty: it marks no pixel of the person", hint="Make the matte again")
        if not (matte & self.in_front).any():
            raise DataError(
                "the matte covers no pixel in which the camera sees the mesh",
                hint="Check that matte, camera and mesh belong to the same photograph",
            )


def gather_from_view(mesh: Mesh, camera: Camera, atlas: Atlas, config: PartialConfig) -> Gather:
    """Find out where a camera sees the texels of a posed mesh.

    A texel counts as seen if it projects into the image, its normal is turned to the camera, nothing lies in front of
    it, the depth in the pixels around it is its own, and no depth discontinuity is within the reach of the lookup.

    Args:
        mesh: In the pose of the photograph, with uvs.
        camera: Of the photograph.
        atlas: Of the mesh (any pose) at the size of the texture.
        config: Tolerances.
    """
    rows, columns = np.nonzero(atlas.inside)
    points = atlas.positions(mesh)[rows, columns].astype(np.float64)
    pixels, depth = camera.project(points)
    seen = _inside(pixels, camera)
    cosine = _cosine(mesh, camera, atlas, points, rows, columns)
    seen &= cosine > config.min_cosine
    footprint, frontal = _footprints(mesh, camera, atlas, points, rows, columns)
    seen &= np.isfinite(footprint)
    rows, columns, points, pixels, depth = (values[seen] for values in (rows, columns, points, pixels, depth))
    cosine, footprint, frontal = cosine[seen], footprint[seen], frontal[seen]
    in_front, agrees, distance = _surroundings(mesh, camera, pixels, depth, config)
    trust = ((cosine - config.min_cosine) / (config.full_cosine - config.min_cosine)).clip(LEAST_CONFIDENCE, 1)
    trust *= frontal.clip(0, 1) * _ramp(distance, config.margin, footprint, config.ramp)
    kept = agrees & (trust > 0)
    tolerance = config.occlusion_tolerance * box_diagonal(mesh)
    kept[kept] = EmbreeRasterizer(mesh).reaches(camera.center, points[kept], tolerance)
    return Gather(
        (rows[kept], columns[kept]),
        pixels[kept].astype(np.float32),
        footprint[kept].astype(np.float32),
        trust[kept].astype(np.float32),
        in_front,
        atlas.inside.shape,
        config,
    )


def read_footprints(
    image: Shaped[np.ndarray, "H W 3"], pixels: Float[np.ndarray, "T 2"], footprint: Float[np.ndarray, " T"]
) -> Float[np.ndarray, "T 3"]:
    """Read an image trilinearly at places whose footprints have the given sides [px]; colors in [0, 1], float32.

    The image is continued by its border pixels to a size that can be halved often enough.
    """
    if not len(pixels):
        return np.zeros((0, 3), np.float32)
    footprint = (footprint * SHARPNESS).astype(np.float32)
    values = image.astype(np.float32) / 255 if image.dtype == np.uint8 else np.asarray(image, np.float32)
    levels = int(np.ceil(np.log2(max(float(footprint.max()), 1)))) + 1
    levels = min(levels, _LEVELS)
    block = 1 << (levels - 1)
    height, width = (-(-side // block) * block for side in values.shape[:2])
    padded = np.pad(values, ((0, height - len(values)), (0, width - values.shape[1]), (0, 0)), mode="edge")
    uv = flip_v(pixels / np.array([width, height], np.float32)).astype(np.float32)
    pyramid = build_mip_pyramid(torch.from_numpy(padded), levels)
    return sample_mip(pyramid, torch.from_numpy(uv), torch.from_numpy(footprint)).numpy()


def _inside(pixels: Float[np.ndarray, "T 2"], camera: Camera) -> Bool[np.ndarray, " T"]:
    """Pixels whose four neighbors exist; NaN is outside."""
    low, high = HALF_PIXEL, np.array([camera.width, camera.height]) - HALF_PIXEL
    return np.logical_and(pixels >= low, pixels <= high).min(axis=1)


def _cosine(
    mesh: Mesh, camera: Camera, atlas: Atlas, points: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> Float[np.ndarray, " T"]:
    """Cosine between smooth normal and viewing ray; negative too where the face itself is turned away."""
    rays = camera.center - points
    rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-30)
    smooth = np.einsum("tc,tc->t", atlas.normals(mesh)[rows, columns], rays)
    flat = np.einsum("tc,tc->t", mesh.face_normals[atlas.face_idx[rows, columns]], rays)
    return np.where(flat > 0, smooth, np.minimum(flat, smooth))


def _footprints(
    mesh: Mesh, camera: Camera, atlas: Atlas, points: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """Side of the area of each texel in the image [px], and what it would be if its face were turned to the camera."""
    height, width = atlas.inside.shape
    face = atlas.face_idx[rows, columns]
    texel_areas = np.abs(signed_areas(mesh.corner_uvs)) * (height * width)
    world = np.divide(mesh.face_areas, texel_areas, out=np.full(mesh.num_faces, np.nan), where=texel_areas > 0)[face]
    offset = points - camera.center
    distance = np.linalg.norm(offset, axis=1)
    cosine = np.abs(np.einsum("tc,tc->t", mesh.face_normals[face], offset)) / distance
    depth = offset @ camera.cam_from_world[2, :3]
    frontal = np.sqrt(world * abs(camera.fx * camera.fy) * distance / np.abs(depth) ** 3)
    return frontal * np.sqrt(cosine), frontal


def _surroundings(
    mesh: Mesh, camera: Camera, pixels: Float[np.ndarray, "T 2"], depth: Float[np.ndarray, " T"], config: PartialConfig
) -> tuple[Bool[np.ndarray, "H W"], Bool[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """Pixels that show the mesh; whether the four pixels around a texel show its depth; its distance to a jump [px]."""
    face_idx = make_rasterizer(mesh).visible_faces(camera)
    surface = render_depth(face_idx, mesh, camera)
    distance = distance_to(find_discontinuities(face_idx, surface, mesh, camera))
    around = _four_around(surface, pixels)
    tolerance = config.depth_tolerance * box_diagonal(mesh)
    agrees = (depth <= around.max(1) + tolerance) & (depth >= around.min(1) - tolerance) & (around.min(1) > 0)
    return face_idx >= 0, agrees, _least_around(distance, pixels)


def _four_around(image: Shaped[np.ndarray, "H W"], pixels: Float[np.ndarray, "T 2"]) -> Shaped[np.ndarray, "T 4"]:
    """Values of the four pixels around places inside an image."""
    height, width = image.shape
    first = (pixels - HALF_PIXEL).astype(int)
    column, row = np.minimum(first[:, 0] + 1, width - 1), np.minimum(first[:, 1] + 1, height - 1)
    left, top = first[:, 0], first[:, 1]
    return np.stack([image[top, left], image[top, column], image[row, left], image[row, column]], 1)


def _least_around(image: Shaped[np.ndarray, "H W"], pixels: Float[np.ndarray, "T 2"]) -> Shaped[np.ndarray, " T"]:
    return _four_around(image, pixels).min(1)


def _ramp(
    distance: Float[np.ndarray, " T"], margin: float, footprint: Float[np.ndarray, " T"], width: float
) -> Float[np.ndarray, " T"]:
    """0 up to the margin, then one half rising to 1; the margin is wider for lookups in coarser levels."""
    beyond = distance - margin - _REACH * (np.maximum(footprint * SHARPNESS, 1) - 1)
    rising = 0.5 + 0.5 * (beyond / max(width, 1e-6)).clip(0, 1)
    return np.where(beyond >= 0, rising, 0).astype(np.float32)
