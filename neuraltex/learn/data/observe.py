"""What one photograph shows of a sample, laid out by a template that does not quite fit it."""

import numpy as np
from jaxtyping import Bool, Float

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io.images import to_uint8
from neuraltex.learn.partial import Partial
from neuraltex.render.fragments import make_rasterizer, render_depth
from neuraltex.render.shade import TexturedRenderer
from neuraltex.texture.atlas import Atlas, canonical_positions, make_atlas
from neuraltex.texture.layout import Layout

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


def look(
    mesh: Mesh, atlas: Atlas, camera: Camera, photo: Texture, matte: Bool[np.ndarray, "H W"]
) -> tuple[Texture, Float[np.ndarray, "Ht Wt"], Float[np.ndarray, "Ht Wt 2"]]:
    """Return what a photograph shows of each texel: its color, confidence (0 where hidden), and where [px]."""
    points, normals = atlas.positions(mesh), atlas.normals(mesh)
    towards = camera.center - points
    facing = (normals * towards).sum(-1) / np.linalg.norm(towards, axis=-1)
    pixels, depth = camera.project(points.reshape(-1, 3).astype(np.float64))
    pixels, depth = pixels.reshape(*facing.shape, 2), depth.reshape(facing.shape)
    nearest = render_depth(make_rasterizer(mesh).visible_faces(camera), mesh, camera)
    column, row = (np.clip(pixels[..., axis].astype(int), 1, camera.width - 2) for axis in (0, 1))
    around = [nearest[row + j, column + i] for j in (-1, 0, 1) for i in (-1, 0, 1)]
    solid = matte[row, column] & (np.min(around, 0) > 0)
    shown = atlas.inside & solid & (facing > 0.15) & (depth < np.max(around, 0) + 0.01)
    color = photo[row, column] * shown[..., None]
    return color, np.where(shown, np.clip((facing - 0.15) / 0.5, 0.05, 1), 0).astype(np.float32), pixels


def observe(
    mesh: Mesh,
    atlas: Atlas,
    texture: Texture,
    camera: Camera,
    laid_out: Atlas,
    layout: Layout,
    rng: np.random.Generator,
) -> Partial:
    """Photograph a mesh and read the partial texture.

    Args:
        mesh: The target.
        atlas: Its own layout, for what the networks are told about the target.
        texture: Its truth, at any size.
        camera: Where the photograph is taken from.
        laid_out: Where a faulty correspondence puts its surface; the mirror image of column i is the i-th from the end.
        layout: The uv layout.
        rng: Source of noise.
    """
    photo, coverage = photograph(mesh, texture, camera)
    photo = np.clip(photo * rng.uniform(0.94, 1.06, 3) + rng.normal(0, 0.012, photo.shape), 0, 1).astype(np.float32)
    color, confidence, pixels = look(mesh, laid_out, camera, photo, coverage > 0.99)
    direct = confidence > 0
    mirrored = direct[:, ::-1] & ~direct & atlas.inside
    known = direct | mirrored
    source = np.where(direct[..., None], pixels, pixels[:, ::-1]) / camera.width
    return Partial(
        color=np.where(direct[..., None], color, color[:, ::-1]) * known[..., None],
        direct=direct,
        mirrored=mirrored,
        confidence=np.where(direct, confidence, 0.5 * confidence[:, ::-1] * mirrored),
        source=np.where(known[..., None], source, np.nan).astype(np.float32),
        inside=atlas.inside,
        normals=atlas.normals(mesh),
        positions=canonical_positions(atlas.positions(mesh), atlas.inside),
        layout=layout,
    )
