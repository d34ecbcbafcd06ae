"""The two oldest ways to texture a mesh, per texel on a prepared scene: the weighted average and the best view.

Run: python benchmarks/baselines.py --data PREPARED --method weighted_average --output-dir RUN

Every texel of a chart is a point of the surface; it is projected into each training photograph that sees it and takes
the color found there. No color matching, no outlier removal, no seam leveling.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from jaxtyping import Float, Int

from neuraltex.config.schema import TextureConfig
from neuraltex.core.files import claim_output_dir
from neuraltex.core.runtime import peak_memory_gb
from neuraltex.fit.finish import finish_texture
from neuraltex.fit.run import write_run
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.prepared import PreparedScene, PreparedView, read_prepared
from neuraltex.render.fragments import Rasterizer, make_rasterizer
from neuraltex.texture.atlas import make_atlas

Method = Literal["weighted_average", "best_view"]
METHODS: tuple[Method, ...] = ("weighted_average", "best_view")
MIN_COSINE, MIN_DISTANCE = 0.2, 1.5
"""Flattest angle and nearest depth discontinuity [px] at which a pixel is used."""
DEPTH_TOLERANCE = 5e-3
"""Relative difference from the depth map up to which a point is visible."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to run."""

    data: Path
    """Prepared scene."""
    output_dir: Path
    """Run folder to write."""
    method: Method = "weighted_average"
    """Mean of all views weighted by their cosine, or the one view of highest confidence."""


@dataclass(frozen=True, eq=False)
class Texels:
    """Texels whose centers lie in a chart, sorted by face."""

    index: Int[np.ndarray, " P"]  # into the flattened texture
    face: Int[np.ndarray, " P"]
    points: Float[np.ndarray, "P 3"]  # [world]


def main() -> None:
    """Make the texture and write it as a run folder, so that every tool reads it."""
    arguments = tyro.cli(Arguments)
    scene, start = read_prepared(arguments.data), time.monotonic()
    texture, seen = make_texture(scene, arguments.method)
    finished = finish_texture(texture, seen, scene.mesh, TextureConfig(seam_strip=0))
    manifest: dict[str, Any] = {"name": scene.info.get("name", ""), "method": arguments.method, "steps": 0}
    manifest |= {"scene": str(arguments.data.resolve()), "seconds": round(time.monotonic() - start, 2)}
    manifest |= {"texture_size": scene.texture_size, "peak_memory_gb": round(peak_memory_gb(), 3)}
    folder = claim_output_dir(arguments.output_dir, overwrite=True)
    write_run(folder, manifest, finished.texture, finished.coverage, [], f"method: {arguments.method}\n")
    print(folder)


def make_texture(scene: PreparedScene, method: Method) -> tuple[Float[np.ndarray, "Ht Wt 3"], np.ndarray]:
    """Return the texture, float32 in [0, 1], and which texels a photograph shows."""
    texels = chart_texels(scene.mesh, scene.texture_size)
    color, total = np.zeros((len(texels.index), 3), np.float32), np.zeros(len(texels.index), np.float32)
    for which, found, cosine, footprint in look_ups(scene, texels):
        if method == "weighted_average":
            color[which] += found * cosine[:, None]
            total[which] += cosine
        else:
            confidence = cosine / footprint
            better = confidence > total[which]
            color[which[better]], total[which[better]] = found[better], confidence[better]
    if method == "weighted_average":
        color /= np.maximum(total, 1e-12)[:, None]
    texture = np.zeros((scene.texture_size**2, 3), np.float32)
    seen = np.zeros(scene.texture_size**2, bool)
    texture[texels.index], seen[texels.index] = color, total > 0
    shape = (scene.texture_size, scene.texture_size)
    return texture.reshape(*shape, 3), seen.reshape(shape)


def look_ups(scene: PreparedScene, texels: Texels) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield, view by view, the texels it sees, their colors [0, 1], cosines and footprints [texel]."""
    rasterizer = make_rasterizer(scene.mesh)
    for view in scene.split("train"):
        yield _look_up(view, rasterizer, texels, scene.mesh.num_faces)


def _look_up(view: PreparedView, rasterizer: Rasterizer, texels: Texels, num_faces: int) -> tuple[np.ndarray, ...]:
    fragments, confidence, photo = rasterizer.render(view.camera), view.load_confidence(), view.load_image()
    usable = view.load_valid() & (confidence.cosine >= MIN_COSINE) & (confidence.distance >= MIN_DISTANCE)
    seen = np.zeros(num_faces + 1, bool)  # the last entry takes the misses, whose face is -1
    seen[fragments.face_idx.cpu().numpy()[usable]] = True
    which = np.flatnonzero(seen[texels.face])
    xy, depth = view.camera.project(texels.points[which])
    with np.errstate(invalid="ignore"):
        inside = ((xy >= 0) & (xy < (view.camera.width, view.camera.height))).all(1)
    which, xy, depth = which[inside], xy[inside], depth[inside]
    column, row = xy.astype(int).T
    surface = fragments.depth.cpu().numpy()[row, column]
    visible = usable[row, column] & (np.abs(surface - depth) < DEPTH_TOLERANCE * depth)
    which, xy, row, column = which[visible], xy[visible], row[visible], column[visible]
    return which, _bilinear(photo, xy), confidence.cosine[row, column], confidence.footprint[row, column]


def _bilinear(photo: np.ndarray, xy: np.ndarray) -> Float[np.ndarray, "P 3"]:
    x, y = (np.clip(xy[:, axis] - 0.5, 0, photo.shape[1 - axis] - 1.001) for axis in (0, 1))
    x0, y0 = x.astype(int), y.astype(int)
    a, b = (x - x0)[:, None].astype(np.float32), (y - y0)[:, None].astype(np.float32)
    upper = photo[y0, x0] * (1 - a) + photo[y0, x0 + 1] * a
    lower = photo[y0 + 1, x0] * (1 - a) + photo[y0 + 1, x0 + 1] * a
    return (upper * (1 - b) + lower * b) / np.float32(255)


def chart_texels(mesh: Mesh, size: int) -> Texels:
    """Find the texels inside charts and the points of the surface they show.

    Args:
        mesh: Mesh with uvs.
        size: Side of the texture [texel].
    """
    atlas = make_atlas(mesh, size)
    face = atlas.face_idx.reshape(-1)
    index = np.flatnonzero(face >= 0)
    index = index[np.argsort(face[index], kind="stable")]
    return Texels(
        index, face[index], np.einsum("pk,pkd->pd", atlas.bary.reshape(-1, 3)[index], mesh.corners[face[index]])
    )


if __name__ == "__main__":
    main()
