"""What one photograph shows of a sample, laid out by a template that does not quite fit it."""

import numpy as np
from jaxtyping import Bool, Float

from neuraltex.config.partial import PartialConfig
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.geometry.symmetry import Plane
from neuraltex.io.images import to_uint8
from neuraltex.learn.extract import complete, gather_from_view, make_partial
from neuraltex.learn.partial import Partial
from neuraltex.render.shade import TexturedRenderer
from neuraltex.texture.atlas import Atlas, make_atlas
from neuraltex.texture.layout import Layout
from neuraltex.texture.mirror import SymmetryMap

Texture = Float[np.ndarray, "Ht Wt 3"]


def photograph(mesh: Mesh, texture: Texture, camera: Camera) -> tuple[Texture, Float[np.ndarray, "H W"]]:
    """Return the picture that a camera takes of a textured mesh, and its coverage."""
    return TexturedRenderer(TexturedMesh(mesh, (to_uint8(texture),), np.zeros(mesh.num_faces, np.int64))).render(camera)


def unrolled_atlas(mesh: Mesh, uvs: Float[np.ndarray, "U 2"], size: int) -> Atlas:
    """Lay a tube out by other uvs, whose u may leave [0, 1]: it is one turn, so every face shows up there again."""
    assert mesh.uv_faces is not None
    shifts = [uvs + np.array([turn, 0]) for turn in (-1, 0, 1)]
    faces = [mesh.uv_faces + index * len(uvs) for index in range(3)]
    tiled = Mesh(mesh.vertices, np.tile(mesh.faces, (3, 1)), np.concatenate(shifts), np.concatenate(faces))
    across = tiled.corner_uvs[..., 0]
    touching = np.flatnonzero((across.max(1) > 0) & (across.min(1) < 1))
    atlas = make_atlas(tiled.select_faces(touching), size)
    original = touching[atlas.face_idx] % mesh.num_faces
    return Atlas(np.where(atlas.inside, original, -1).astype(np.int32), atlas.bary)


def column_mirror(inside: Bool[np.ndarray, "Ht Wt"]) -> SymmetryMap:
    """Return the mirror images of a tube in template coordinates: column i is that of the i-th from the end."""
    height, width = inside.shape
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    side = (x >= width / 2).astype(np.int32)
    texels = np.stack([width - 1 - x, y], -1).astype(np.float32)
    return SymmetryMap(texels, inside, np.where(inside, side, -1), Plane(np.array([1.0, 0.0, 0.0]), 0.0))


def observe(
    mesh: Mesh,
    atlas: Atlas,
    texture: Texture,
    camera: Camera,
    laid_out: Atlas,
    layout: Layout,
    rng: np.random.Generator,
) -> tuple[Partial, Texture]:
    """Photograph a mesh and read the partial texture; returns it and the photograph.

    Args:
        mesh: The target.
        atlas: Its own layout, for what the networks are told about the target.
        texture: Its truth, at any size.
        camera: Where the photograph is taken from.
        laid_out: Where a faulty correspondence puts its surface.
        layout: The uv layout.
        rng: Source of noise.
    """
    config = PartialConfig(size=len(atlas.inside), matte_erosion=1, margin=1, ramp=2, match_gains=False)
    photo, coverage = photograph(mesh, texture, camera)
    photo = np.clip(photo * rng.uniform(0.94, 1.06, 3) + rng.normal(0, 0.012, photo.shape), 0, 1).astype(np.float32)
    seen = gather_from_view(mesh, camera, laid_out, config).read(photo, coverage > 0.99)
    return make_partial(complete(seen, column_mirror(atlas.inside), config), atlas, mesh, layout), photo
