"""The prepared folder: what ``neuraltex prepare`` leaves and every fit, comparison and viewer reads.

Layout (``scene.json`` carries ``version``; all paths in it are relative to the folder)::

    scene.json          views (name, image, mask, uv, confidence, camera, split), mesh, texture size, statistics
    mesh.obj            the mesh with the uvs that were fitted to; readable anywhere
    mesh.npz            the same arrays in full precision; what the tools read
    images/<name>.*     photographs, linked where nothing had to change, else rewritten losslessly
    masks/<name>.png    user masks, 255 = use
    uvs/<name>.npz|.exr uv map, float32
    confidence/<name>.npz  per-pixel cosine, footprint, distance to a depth discontinuity, agreement with sensor depth
    proof.jpg           the proof sheet
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.core.errors import DataError
from neuraltex.core.files import read_json, write_json
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.scene import Split
from neuraltex.io import images
from neuraltex.io.npz import read_npz, write_npz

VERSION = 1
DEPTH_ERROR_STEP = 0.002
"""Unit in which relative depth errors are stored in 8 bit; 255 stands for no measurement."""


@dataclass(frozen=True, eq=False)
class UvMap:
    """Texture coordinates behind every pixel of a view."""

    uv: Float[np.ndarray, "H W 2"]  # float32, 0 where the mask is false
    mask: Bool[np.ndarray, "H W"]  # geometry is visible here (user masks are not applied)


@dataclass(frozen=True, eq=False)
class Confidence:
    """How far a pixel can be trusted to show the texture.

    Args:
        cosine: Cosine between surface normal and viewing ray, 0 grazing or no surface, 1 frontal; float32.
        footprint: Square root of the area of the pixel on the texture [texel], float32; 0 where no surface.
        distance: Distance to the nearest depth discontinuity or silhouette [px], float32, capped at 255.
        depth_error: Absolute difference between the depth a sensor measured and that of the mesh, as a share of the
            latter, float32, capped at 0.508; NaN where the sensor saw nothing. None for views without a depth image.
    """

    cosine: Float[np.ndarray, "H W"]
    footprint: Float[np.ndarray, "H W"]
    distance: Float[np.ndarray, "H W"]
    depth_error: Float[np.ndarray, "H W"] | None = None


@dataclass(frozen=True, eq=False)
class PreparedView:
    """One view of a prepared scene; the camera has the size of the uv map and of the image."""

    name: str
    split: Split
    camera: Camera
    image: Path
    uv: Path
    confidence: Path
    mask: Path | None = None

    def load_image(self) -> UInt8[np.ndarray, "H W 3"]:
        """Read the photograph as 8 bit sRGB.

        Raises:
            DataError: if it is unreadable or no longer has the camera's size.
        """
        return images.read_rgb(self.image, size=(self.camera.width, self.camera.height))

    def load_uv(self) -> UvMap:
        """Read the uv map."""
        return read_uv_map(self.uv)

    def load_confidence(self) -> Confidence:
        """Read the per-pixel confidence."""
        return read_confidence(self.confidence)

    def load_valid(self) -> Bool[np.ndarray, "H W"]:
        """Pixels that may be used: geometry is visible and the user's mask, if any, allows it."""
        valid = self.load_uv().mask
        return valid if self.mask is None else valid & images.read_mask(self.mask, valid.shape)


@dataclass(frozen=True, eq=False)
class PreparedScene:
    """A prepared folder, opened; ``info`` holds the rest of scene.json: name, format, notes, statistics, ..."""

    path: Path
    mesh: Mesh
    texture_size: int
    views: tuple[PreparedView, ...]
    info: dict[str, Any]

    def split(self, which: Split) -> tuple[PreparedView, ...]:
        """Views used for fitting (``train``) or held out for scoring (``test``)."""
        return tuple(view for view in self.views if view.split == which)


def read_prepared(path: str | Path) -> PreparedScene:
    """Open a prepared folder; photographs and uv maps are read only when asked for.

    Raises:
        DataError: if it is not a prepared folder, was written by another version, or files are missing.
    """
    path = Path(path)
    if not (path / "scene.json").is_file():
        raise DataError(
            f"{path} is not a prepared scene (no scene.json)",
            hint=f"Run: neuraltex prepare --data SCENE --output-dir {path}",
        )
    content = read_json(path / "scene.json")
    if content.get("version") != VERSION:
        raise DataError(
            f"{path}/scene.json has version {content.get('version')!r}, this program reads {VERSION}",
            hint="Run neuraltex prepare again with --overwrite",
        )
    views = tuple(_view_from_json(path, entry) for entry in content.pop("views"))
    missing = [file for view in views for file in (view.image, view.uv, view.confidence) if not file.exists()]
    if missing:
        raise DataError(
            f"{len(missing)} file(s) of the prepared scene are missing, first {missing[0]}",
            hint="Restore the photographs or run neuraltex prepare again with --overwrite",
        )
    return PreparedScene(path, read_mesh_arrays(path / "mesh.npz"), int(content["texture_size"]), views, content)


def write_prepared(scene: PreparedScene) -> Path:
    """Write scene.json, mesh.npz of a prepared folder whose view files exist already; scene.json comes last."""
    write_mesh_arrays(scene.path / "mesh.npz", scene.mesh)
    content = {**scene.info, "version": VERSION, "texture_size": scene.texture_size}
    content["views"] = [_view_to_json(scene.path, view) for view in scene.views]
    return write_json(scene.path / "scene.json", content)


def camera_to_json(camera: Camera) -> dict[str, Any]:
    """Return a camera as plain JSON values; ``cam_from_world`` row by row."""
    names = ("width", "height", "fx", "fy", "cx", "cy", "skew", "lens")
    plain = {name: getattr(camera, name) for name in names}
    warp = {} if camera.warp is None else {"warp": camera.warp.tolist()}
    pose = camera.cam_from_world.tolist()
    return {**plain, "distortion": list(camera.distortion), "cam_from_world": pose, **warp}


def camera_from_json(content: dict[str, Any]) -> Camera:
    """Inverse of :func:`camera_to_json`."""
    arrays: dict[str, Any] = {name: np.array(content[name]) for name in ("cam_from_world", "warp") if name in content}
    return Camera(**{**content, **arrays})


def write_uv_map(path: Path, uv_map: UvMap) -> Path:
    """Write a uv map losslessly: ``.npz`` holds valid pixels only, ``.exr`` is float32 R=u, G=v, B=validity."""
    if path.suffix == ".exr":
        layers = np.dstack([uv_map.uv, uv_map.mask]).astype(np.float32)
        return images.write_exr(path, layers)
    pairs = np.ascontiguousarray(uv_map.uv, np.float32).view(np.complex64)[..., 0]  # picks both at once, much faster
    uv = pairs[uv_map.mask].view(np.float32).reshape(-1, 2)
    return write_npz(path, {"shape": np.array(uv_map.mask.shape), "mask": np.packbits(uv_map.mask), "uv": uv})


def read_uv_map(path: Path) -> UvMap:
    """Read what :func:`write_uv_map` wrote; an EXR without a third channel counts exact (0, 0) as background."""
    if path.suffix == ".exr":
        layers = images.read_exr(path)
        mask: np.ndarray = layers[..., 2] > 0.5 if layers.shape[2] > 2 else (layers[..., :2] != 0).any(axis=-1)
        return UvMap(np.where(mask[..., None], layers[..., :2], 0).astype(np.float32), mask)
    arrays = read_npz(path)
    return spread_uv(arrays["shape"], arrays["mask"], arrays["uv"])


def spread_uv(
    shape: Sequence[int] | np.ndarray, bits: UInt8[np.ndarray, " B"], values: Float[np.ndarray, "P 2"]
) -> UvMap:
    """Put the uvs of valid pixels, which ``bits`` mark, into a frame."""
    mask = _unpack(shape, bits)
    uv = np.zeros((*mask.shape, 2), np.float32)
    uv[mask] = values
    return UvMap(uv, mask)


def write_confidence(path: Path, confidence: Confidence) -> Path:
    """Write confidence compactly: footprint in half precision, all else in 8 bit."""
    mask = confidence.footprint > 0
    arrays: dict[str, np.ndarray] = {
        "shape": np.array(mask.shape),
        "mask": np.packbits(mask),
        "cosine": encode_cosine(confidence.cosine[mask]),
        "footprint": encode_footprint(confidence.footprint[mask]),
        "distance": confidence.distance[mask].clip(0, 255).astype(np.uint8),
    }
    if confidence.depth_error is not None:
        arrays["depth_error"] = encode_depth_error(confidence.depth_error[mask])
    return write_npz(path, arrays)


def encode_cosine(cosine: Float[np.ndarray, " Q"]) -> UInt8[np.ndarray, " Q"]:
    """Return cosines as they are stored [1/255]."""
    return np.round(cosine.clip(0, 1) * 255).astype(np.uint8)


def encode_footprint(footprint: Float[np.ndarray, " Q"]) -> Float[np.ndarray, " Q"]:
    """Return footprints as they are stored, float16 [texel]; none becomes zero or infinite."""
    return footprint.clip(6e-5, 6e4).astype(np.float16)


def encode_depth_error(error: Float[np.ndarray, " Q"]) -> UInt8[np.ndarray, " Q"]:
    """Return depth errors as they are stored [:data:`DEPTH_ERROR_STEP`], NaN as 255."""
    steps = (error / DEPTH_ERROR_STEP).clip(0, 254)
    return np.nan_to_num(steps.round(), nan=255).astype(np.uint8)


def read_confidence(path: Path) -> Confidence:
    """Read what :func:`write_confidence` wrote."""
    arrays = read_npz(path)
    mask = _unpack(arrays["shape"], arrays["mask"])
    full: dict[str, Any] = {name: np.zeros(mask.shape, np.float32) for name in ("cosine", "footprint", "distance")}
    for name, image in full.items():
        image[mask] = arrays[name]
    full["cosine"] /= 255
    if "depth_error" in arrays:
        steps = np.full(mask.shape, np.nan, np.float32)
        steps[mask] = np.where(arrays["depth_error"] == 255, np.nan, arrays["depth_error"])
        full["depth_error"] = steps * np.float32(DEPTH_ERROR_STEP)
    return Confidence(**full)


def write_mesh_arrays(path: Path, mesh: Mesh) -> Path:
    """Write a mesh in full precision."""
    arrays = {"vertices": mesh.vertices, "faces": mesh.faces}
    if mesh.uvs is not None and mesh.uv_faces is not None:
        arrays |= {"uvs": mesh.uvs, "uv_faces": mesh.uv_faces}
    return write_npz(path, arrays)


def read_mesh_arrays(path: Path) -> Mesh:
    """Read what :func:`write_mesh_arrays` wrote."""
    return Mesh(**read_npz(path))


def _view_to_json(root: Path, view: PreparedView) -> dict[str, Any]:
    files = {name: getattr(view, name) for name in ("image", "uv", "confidence", "mask")}
    relative = {name: None if file is None else file.relative_to(root).as_posix() for name, file in files.items()}
    return {"name": view.name, "split": view.split, **relative, "camera": camera_to_json(view.camera)}


def _view_from_json(root: Path, entry: dict[str, Any]) -> PreparedView:
    names = ("image", "uv", "confidence", "mask")
    files: dict[str, Any] = {name: None if entry[name] is None else root / entry[name] for name in names}
    return PreparedView(entry["name"], entry["split"], camera_from_json(entry["camera"]), **files)


def _unpack(shape: Sequence[int] | np.ndarray, bits: np.ndarray) -> np.ndarray:
    height, width = (int(size) for size in shape)
    return np.unpackbits(bits, count=height * width).astype(bool).reshape(height, width)
