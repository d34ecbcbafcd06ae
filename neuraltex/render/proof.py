"""The proof sheet: edges of the mesh drawn over photographs, so that a person sees at a glance whether they fit."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.discontinuity import find_discontinuities
from neuraltex.render.fragments import Rasterizer, render_depth

CREASE = np.cos(np.deg2rad(40.0))
"""Neighboring pixels whose faces meet at a sharper angle than this show a crease."""
COLORS = {"silhouette": (255, 60, 40), "crease": (60, 200, 255)}
HEADER = 54
MARGIN = 6


def draw_edges(
    photo: UInt8[np.ndarray, "H W 3"], mesh: Mesh, rasterizer: Rasterizer, camera: Camera
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw depth discontinuities (red) and sharp creases (blue, fainter) over a photograph of the camera's size."""
    face_idx = rasterizer.visible_faces(camera)
    silhouette = find_discontinuities(face_idx, render_depth(face_idx, mesh, camera), mesh, camera)
    crease = _creases(np.where(face_idx[..., None] >= 0, mesh.face_normals[face_idx], 0)) & ~silhouette
    drawn = photo.astype(np.float32)
    for mask, name, opacity in ((crease, "crease", 0.45), (silhouette, "silhouette", 0.75)):
        drawn[mask] += opacity * (np.array(COLORS[name], np.float32) - drawn[mask])
    return drawn.round().astype(np.uint8)


def compose_sheet(
    tiles: Sequence[UInt8[np.ndarray, "h w 3"]], captions: Sequence[str], title: str, *, columns: int = 3
) -> UInt8[np.ndarray, "H W 3"]:
    """Lay out captioned tiles in rows under a title; tiles of other sizes than the largest are centered."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415

    height, width = (max(tile.shape[axis] for tile in tiles) + MARGIN for axis in (0, 1))
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    sheet = Image.new("RGB", (columns * width + MARGIN, rows * height + HEADER), (24, 24, 28))
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN + 4, 12), title, fill=(240, 240, 240), font=ImageFont.load_default(26))
    for index, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        left = MARGIN + index % columns * width + (width - MARGIN - tile.shape[1]) // 2
        top = HEADER + index // columns * height + (height - MARGIN - tile.shape[0]) // 2
        sheet.paste(Image.fromarray(tile), (left, top))
        draw.text(
            (left + 8, top + 6),
            caption,
            fill=(255, 255, 255),
            stroke_width=2,
            stroke_fill=(0, 0, 0),
            font=ImageFont.load_default(18),
        )
    return np.asarray(sheet)


def _creases(normals: np.ndarray) -> Bool[np.ndarray, "H W"]:
    """Mark pixels whose right or lower neighbor lies on a face turned by more than the crease angle."""
    marked = np.zeros(normals.shape[:2], bool)
    exists = np.abs(normals).sum(-1) > 0
    everything, first, last = slice(None), slice(-1), slice(1, None)
    for before, after in (((everything, first), (everything, last)), ((first, everything), (last, everything))):
        turned = (normals[before] * normals[after]).sum(-1) < CREASE
        marked[before] |= turned & exists[before] & exists[after]
    return marked
