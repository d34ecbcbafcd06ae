"""The folder of training samples: partial textures of many subjects, each seen from several angles.

Layout (the one the training code of Cha et al., "Generating Texture for 3D Human Avatar from a Single Image using
Sampling and Refinement Networks", Computer Graphics Forum 2023, reads, with ours beside it)::

    symmetry/<angle>/<subject>_symmetry.png      colors, direct and mirrored; 0 elsewhere
    mask_symm/<angle>/<subject>_mask_symm.png    255 where there is a color
    normal_map/<angle>/<subject>_normal_map.png  0.5 + 0.5 n, filled beyond the charts
    texture_map/<subject>_texture_map.png        the whole texture
    direct/<angle>/<subject>_direct.png          255 where a photograph shows the texel itself
    confidence/<angle>/<subject>_confidence.png  0 to 1 as 0 to 255
    position_map/<angle>/<subject>_position_map.npz  positions, [-1, 1] as 0 to 65535 (uint16)
    shift/<angle>/<subject>_shift.npz            from texels to their true colors, in halves of the texture (float16)
    source/<angle>/<subject>_source.npz          place in the photograph, [0, 1] as 0 to 65535 (uint16); 0 where unknown
    photo/<angle>/<subject>.jpg                  the photograph
    layout.json, inside.png                      uv layout of all samples, and 255 in its charts

An angle is any name of a view, such as ``-90`` or ``front``.
"""

import shutil
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8, UInt16

from neuraltex.core.errors import DataError
from neuraltex.core.files import atomic_path, read_json, write_json
from neuraltex.io.images import to_uint8, write_rgb
from neuraltex.io.npz import write_npz
from neuraltex.io.png import write_png
from neuraltex.learn.partial import Partial
from neuraltex.texture.fill import push_pull
from neuraltex.texture.layout import Layout

PICTURES = ("symmetry", "mask_symm", "direct", "confidence", "normal_map")
ARRAYS = ("position_map", "source", "shift")
GEOMETRY = ("normal_map", "position_map")
"""What of these depends on the target mesh only."""
TEXTURE = "texture_map"
PHOTO = "photo"
LAYOUT = "layout.json"
INSIDE = "inside.png"


def sample_file(folder: Path, kind: str, angle: str, subject: str) -> Path:
    """Return where a sample keeps what is named ``kind``: one of :data:`PICTURES`, :data:`ARRAYS` or ``photo``."""
    if kind == PHOTO:
        return folder / kind / angle / f"{subject}.jpg"
    return folder / kind / angle / f"{subject}_{kind}.{'npz' if kind in ARRAYS else 'png'}"


def texture_file(folder: Path, subject: str) -> Path:
    """Return where a subject's whole texture lies."""
    return folder / TEXTURE / f"{subject}_{TEXTURE}.png"


def write_sample(
    folder: Path,
    subject: str,
    angle: str | int,
    partial: Partial,
    photo: Shaped[np.ndarray, "H W 3"] | None = None,
    *,
    same_geometry: str | int | None = None,
    shift: Float[np.ndarray, "Ht Wt 2"] | None = None,
) -> None:
    """Write one subject seen from one angle; ``layout.json`` and ``inside.png`` with the first sample.

    Args:
        folder: Of all samples.
        subject: Name of the subject; a file name without suffix.
        angle: Name of the view.
        partial: What that view shows.
        photo: The photograph, 8 bit or in [0, 1].
        same_geometry: Angle whose normals and positions of the subject are the same: their files become links to it.
        shift: From each texel to where in the partial texture its color truly lies, where that is known
            (:class:`neuraltex.learn.data.procedural.Sample`).

    Raises:
        DataError: if the folder holds samples of another uv layout or size.
        OutputError: if it cannot be written.
    """
    write_layout(folder, partial.layout, partial.inside)
    linked = () if same_geometry is None else GEOMETRY
    for kind in linked:
        _link(*(sample_file(folder, kind, str(name), subject) for name in (same_geometry, angle)))
    for kind, picture in sample_pictures(partial).items():
        if kind not in linked:
            write_png(sample_file(folder, kind, str(angle), subject), picture)
    for kind, values in {"position_map": (partial.positions + 1) / 2, "source": partial.source}.items():
        if kind not in linked:
            write_npz(sample_file(folder, kind, str(angle), subject), {kind: encode_unit(values)})
    if shift is not None:
        write_npz(sample_file(folder, "shift", str(angle), subject), {"shift": shift.astype(np.float16)})
    if photo is not None:
        write_rgb(sample_file(folder, PHOTO, str(angle), subject), to_uint8(photo))


def write_subject(folder: Path, subject: str, truth: Shaped[np.ndarray, "Ht Wt 3"]) -> Path:
    """Write a subject's whole texture, 8 bit or in [0, 1]; returns its file."""
    return write_png(texture_file(folder, subject), truth)


def write_layout(folder: Path, layout: Layout, inside: Bool[np.ndarray, "Ht Wt"]) -> None:
    """Write the uv layout of a folder of samples, or check that it is the one there.

    Raises:
        DataError: if the folder holds samples of another uv layout.
    """
    if (folder / LAYOUT).is_file():
        read_layout(folder).require(layout, str(folder))
        return
    write_png(folder / INSIDE, inside.astype(np.uint8) * 255)
    write_json(folder / LAYOUT, layout.to_plain())


def read_layout(folder: Path) -> Layout:
    """Read the uv layout of a folder of samples.

    Raises:
        DataError: if it is missing or broken.
    """
    try:
        return Layout(**read_json(folder / LAYOUT))
    except TypeError as error:
        raise DataError(f"{folder / LAYOUT} is no uv layout ({error})", hint="Write the samples again") from error


def normal_picture(partial: Partial) -> UInt8[np.ndarray, "Ht Wt 3"]:
    """Return the normals as the picture 0.5 + 0.5 n, filled smoothly beyond the charts."""
    return to_uint8(push_pull(partial.normals * 0.5 + 0.5, partial.inside))


def encode_unit(values: Float[np.ndarray, "*B"]) -> UInt16[np.ndarray, "*B"]:
    """Return values in [0, 1] as 0 to 65535; NaN becomes 0."""
    return np.round(np.nan_to_num(values).clip(0, 1) * 65535).astype(np.uint16)


def decode_unit(values: UInt16[np.ndarray, "*B"]) -> Float[np.ndarray, "*B"]:
    """Inverse of :func:`encode_unit`, float32."""
    return values.astype(np.float32) / 65535


def sample_pictures(partial: Partial) -> dict[str, UInt8[np.ndarray, "Ht Wt *C"]]:
    """Return the pictures of a partial texture by name (:data:`PICTURES`)."""
    return {
        "symmetry": to_uint8(partial.color),
        "mask_symm": partial.known.astype(np.uint8) * 255,
        "direct": partial.direct.astype(np.uint8) * 255,
        "confidence": to_uint8(partial.confidence),
        "normal_map": normal_picture(partial),
    }


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system cannot."""
    with atomic_path(target) as temporary:
        temporary.unlink()
        try:
            temporary.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, temporary)
