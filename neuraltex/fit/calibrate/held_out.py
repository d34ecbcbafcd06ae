"""The camera of a held-out photograph, aligned to a finished textured mesh of any origin.

A method that refined its cameras leaves a texture whose frame may have drifted by a pixel from that of the held-out
cameras; scores would then judge the drift. So each held-out camera is moved until the photograph fits the finished
texture best: the texture stays fixed, six numbers are found, and every method gets the same treatment. The mesh may
have charts, materials or vertex colors of its own, because colors are taken from a rendering of it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from neuraltex.fit.calibrate.cameras import Observation, refine_pose
from neuraltex.fit.calibrate.color_fit import robust_affine
from neuraltex.fit.calibrate.rounds import Cast, Photo, Target, reduced_camera
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.render.discontinuity import distance_to, find_discontinuities
from neuraltex.render.fragments import Rasterizer, make_rasterizer
from neuraltex.render.rays import normalized_grid
from neuraltex.render.shade import TexturedRenderer

REDUCTIONS = (4, 4, 2, 2, 1, 1, 1)
"""Factors by which the images are reduced, round by round; each round renders the mesh again."""
FINEST_SIDE = 1416
"""Images longer than this are reduced to at most this in the last rounds too [px], as for LPIPS."""
MARGIN = 2.0
"""Pixels nearer than this to a depth discontinuity are not used [px of the reduced image]."""
MIN_POINTS, MAX_POINTS = 200, 60_000
"""Surface points that drive a camera, at least and at most."""
MAX_SAMPLES = 4
"""Samples per pixel of a rendering along each axis."""


@dataclass(frozen=True, eq=False)
class TexturedSurface:
    """A finished textured mesh, ready to be rendered and cast at."""

    mesh: Mesh
    renderer: TexturedRenderer
    rasterizer: Rasterizer

    @classmethod
    def of(cls, textured: TexturedMesh, renderer: TexturedRenderer | None = None) -> "TexturedSurface":
        """Build what renders a mesh, unless it exists already."""
        return cls(textured.mesh, renderer or TexturedRenderer(textured), make_rasterizer(textured.mesh, "embree"))


@dataclass(frozen=True, eq=False)
class Aligned:
    """An aligned camera, and how far the surface moved in its image: root mean square over the points used [px]."""

    camera: Camera
    shift: float


def align_to_texture(
    surface: TexturedSurface, camera: Camera, photo: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]
) -> Aligned:
    """Find the pose from which a photograph agrees best with a finished texture.

    Colors are matched by a gain and a bias per channel, robustly. A step counts only if it lowers the error on a tenth
    of the points that it was not computed from; where the mask shows too little surface, the camera stays as it is.

    Args:
        surface: The textured mesh; it stays as it is.
        camera: Where to start; a few pixels off at most.
        photo: The photograph.
        mask: Its pixels that may be used.
    """
    least, start, points = -(-max(camera.width, camera.height) // FINEST_SIDE), camera, np.zeros((0, 3))
    for index, factor in enumerate(REDUCTIONS):
        small = reduced_camera(camera, factor * least)
        observation = _observe(surface, small, photo, mask, factor * least, seed=index)
        if observation is not None:
            points = observation.cast.points
            camera = camera.with_pose(refine_pose(observation, small)[0].cam_from_world)
    return Aligned(camera, _rms_shift(start, camera, points))


def _observe(
    surface: TexturedSurface, camera: Camera, photo: np.ndarray, mask: np.ndarray, reduce: int, seed: int
) -> Observation | None:
    """Render the mesh and draw points of it with the colors they should have in the photograph; ``None`` if few."""
    wanted = _reduce(mask, reduce) == 1
    render, coverage = surface.renderer.render(camera, wanted, min(reduce + 1, MAX_SAMPLES))
    fragments = surface.rasterizer.render(camera)
    face_idx, depth = fragments.face_idx.cpu().numpy(), fragments.depth.cpu().numpy()
    clear = distance_to(find_discontinuities(face_idx, depth, surface.mesh, camera)) >= MARGIN
    used = np.flatnonzero(wanted & clear & (coverage == 1) & (face_idx >= 0))
    if len(used) < MIN_POINTS:
        return None
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.choice(used, min(len(used), MAX_POINTS), replace=False))
    image, ones = _reduce(photo, reduce) / np.float32(255), np.ones(len(chosen), np.float32)
    color, shown = render.reshape(-1, 3)[chosen], image.reshape(-1, 3)[chosen]
    gain, bias = robust_affine(color, shown, ones, with_bias=True)
    target = Target((color * gain + bias).astype(np.float64), ones.astype(np.float64))
    rays = np.concatenate([normalized_grid(camera).reshape(-1, 2)[chosen], np.ones((len(chosen), 1))], 1)
    points = (rays * depth.reshape(-1, 1)[chosen].astype(np.float64)) @ camera.cam_from_world[:3, :3] + camera.center
    cast = Cast(np.zeros((0, 2), np.float32), shown, ones, points, chosen, generator.random(len(chosen)) < 0.1)
    return Observation(Photo(image, None), cast, target)


def _reduce(image: Shaped[np.ndarray, "H W *C"], factor: int) -> Float[np.ndarray, "h w *C"]:
    height, width = image.shape[0] // factor, image.shape[1] // factor
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, *image.shape[2:])
    return blocks.mean((1, 3), dtype=np.float32)


def _rms_shift(before: Camera, after: Camera, points: Float[np.ndarray, "P 3"]) -> float:
    shift = after.project(points)[0] - before.project(points)[0]
    return float(np.sqrt(np.nanmean((shift**2).sum(1)))) if len(points) else 0.0
