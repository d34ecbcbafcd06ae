"""Enhancing or super-resolving photographs before a scene is prepared, with cameras that follow the new size."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from neuraltex.core.conventions import chw_from_hwc, hwc_from_chw
from neuraltex.core.errors import DataError, MissingDependency, UsageError
from neuraltex.core.runtime import progress
from neuraltex.geometry.scene import Scene
from neuraltex.io import colmap, nerfstudio
from neuraltex.io.discover import image_file_name
from neuraltex.io.images import PHOTO_SUFFIXES, read_rgb, write_rgb
from neuraltex.io.photos import place_mask

Photo = UInt8[np.ndarray, "H W 3"]
Enhancer = Callable[[Photo, tuple[int, int]], Photo]
"""Turns a photograph into one of the given (width, height) [px]; corners stay on corners."""

BROKEN_FILE = (SafetensorError, pickle.UnpicklingError, OSError, RuntimeError, ValueError, EOFError, KeyError)
"""What reading a damaged or hostile weights file raises."""

TILE = 256
MARGIN = 24
"""Edge of a tile and context around it that is computed and thrown away [px]; bounds the memory of a network."""


def enhance_scene(
    scene: Scene,
    folder: Path,
    *,
    scale: float,
    enhancer: Enhancer,
    file_format: Literal["nerfstudio", "colmap"] = "nerfstudio",
) -> Scene:
    """Write a copy of a scene with enhanced photographs, scaled cameras and masks of the new size.

    Args:
        scene: What to read; its depth images and mesh stay as they are.
        folder: Empty folder to write to.
        scale: New width over old width.
        enhancer: :func:`lanczos_sharpen` or what :func:`load_network` returns.
        file_format: Form of the copy; COLMAP knows more lenses, nerfstudio keeps depth.

    Raises:
        DataError: if a photograph is unreadable or not of its camera's size.
        OutputError: if the folder cannot be written.
    """
    _check_scale(scale)
    views = []
    for view in progress(scene.views, label="enhancing", unit="image"):
        camera = view.camera.scaled(*_scaled_size(view.camera.width, view.camera.height, scale))
        pixels = read_rgb(view.image, size=(view.camera.width, view.camera.height))
        image = write_rgb(folder / "images" / image_file_name(view), enhancer(pixels, (camera.width, camera.height)))
        stem = image_file_name(view) if file_format == "colmap" else view.name
        target = folder / "masks" / f"{stem}.png"
        mask = place_mask(view.mask, target, camera, view.camera) if view.mask else None
        depth_camera = view.depth_camera or (view.camera if view.depth else None)
        views.append(replace(view, camera=camera, image=image, mask=mask, depth_camera=depth_camera))
    result = scene.with_views(tuple(views), f"photographs enhanced, scale {scale:g}")
    (colmap if file_format == "colmap" else nerfstudio).write(result, folder)
    return result


def enhance_folder(source: Path, target: Path, *, scale: float, enhancer: Enhancer) -> list[Path]:
    """Enhance every image of a folder and the folders below it; returns the files written.

    Raises:
        DataError: if there is no image or one is unreadable.
    """
    _check_scale(scale)
    if not source.is_dir():
        raise DataError(f"{source} is neither a scene nor a folder of images", hint="Check --input")
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    if not files:
        raise DataError(f"{source} holds no image", hint=f"Supported suffixes: {', '.join(PHOTO_SUFFIXES)}")
    written = []
    for file in progress(files, label="enhancing", unit="image"):
        pixels = read_rgb(file)
        size = _scaled_size(pixels.shape[1], pixels.shape[0], scale)
        written.append(write_rgb(target / file.relative_to(source), enhancer(pixels, size)))
    return written


def lanczos_sharpen(pixels: Photo, size: tuple[int, int], *, amount: float = 0.6) -> Photo:
    """Resample with Lanczos' kernel, then add ``amount`` of what a blur of about one old pixel takes away."""
    from PIL import Image, ImageFilter  # noqa: PLC0415

    radius = max(1.0, size[0] / pixels.shape[1])
    image = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image.filter(ImageFilter.UnsharpMask(radius=radius, percent=round(100 * amount), threshold=0)))


def load_network(weights: Path, device: str = "cpu") -> Enhancer:
    """Load a super-resolution or restoration network of any architecture that spandrel knows.

    Args:
        weights: ``.pth`` (read as weights only, no code runs) or ``.safetensors``.
        device: ``cpu`` or ``cuda``.

    Raises:
        DataError: if the file is broken or of no known architecture.
        MissingDependency: without spandrel, or with a torchvision that does not fit torch.
    """
    spandrel = import_spandrel()
    state = read_weights(weights)
    try:
        model = spandrel.ModelLoader(device).load_from_state_dict(spandrel.canonicalize_state_dict(state))
    except (spandrel.UnsupportedModelError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{weights} is not of an architecture that spandrel knows ({type(error).__name__})",
            hint="Use other weights",
        ) from error
    if not isinstance(model, spandrel.ImageModelDescriptor) or (model.input_channels, model.output_channels) != (3, 3):
        raise DataError(f"{weights} does not map RGB images to RGB images", hint="Use other weights")

    def enhance(pixels: Photo, size: tuple[int, int]) -> Photo:
        image = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).float() / 255
        result = apply_tiled(model, image, model.scale)
        return resize_to((result * 255).round().byte().cpu().numpy(), size)

    return enhance


def apply_tiled(
    network: Callable[[Tensor], Tensor],
    image: Float[Tensor, "H W 3"],
    scale: int,
    *,
    tile: int = TILE,
    margin: int = MARGIN,
) -> Float[Tensor, "h w 3"]:
    """Run a network over overlapping tiles, so that memory does not grow with the photograph.

    Args:
        network: Maps ``[1, 3, H, W]`` to ``[1, 3, scale * H, scale * W]``.
        image: Colors in [0, 1].
        scale: Factor of the network.
        tile: Edge of the part of a tile that is kept [px].
        margin: Context computed around it [px].
    """
    height, width = image.shape[:2]
    result = image.new_zeros((height * scale, width * scale, 3))
    with torch.inference_mode():
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                y, x = max(top - margin, 0), max(left - margin, 0)
                bottom, right = min(top + tile, height), min(left + tile, width)
                patch = image[y : bottom + margin, x : right + margin]
                output = hwc_from_chw(network(chw_from_hwc(patch)[None].contiguous()))[0]
                rows = slice((top - y) * scale, (bottom - y) * scale)
                columns = slice((left - x) * scale, (right - x) * scale)
                result[top * scale : bottom * scale, left * scale : right * scale] = output[rows, columns]
    return result.clamp(0, 1)


def resize_to(pixels: Photo, size: tuple[int, int]) -> Photo:
    """Resample with Lanczos' kernel where the size differs."""
    from PIL import Image  # noqa: PLC0415

    image = Image.fromarray(pixels)
    return pixels if image.size == size else np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def read_weights(weights: Path) -> dict[str, Any]:
    """Read a state dict without running any code of the file.

    Raises:
        DataError: if the file is missing, broken, or holds more than weights.
    """
    try:
        if weights.suffix == ".safetensors":
            return load_file(weights)
        return torch.load(weights, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"{weights} does not exist", hint="Check --weights") from error
    except BROKEN_FILE as error:
        raise DataError(f"{weights} cannot be read as weights ({error})", hint="Download the file again") from error


def import_spandrel() -> Any:
    """Import spandrel, which may be absent or lack its torchvision.

    Raises:
        MissingDependency: with what to do.
    """
    try:
        import spandrel
    except ImportError as error:
        raise MissingDependency(
            f"networks for super-resolution are loaded with spandrel ({error})",
            hint="Run: pip install spandrel, or leave --weights out",
        ) from error
    except RuntimeError as error:  # a torchvision built for another torch fails like this
        raise MissingDependency(
            f"spandrel cannot be imported ({error})",
            hint=f"Install the torchvision build that belongs to torch {torch.__version__}, or leave --weights out",
        ) from error
    return spandrel


def _check_scale(scale: float) -> None:
    if not 0.1 <= scale <= 16:
        raise UsageError(f"scale {scale:g} is out of range", source="--scale", hint="Give a factor from 0.1 to 16")


def _scaled_size(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))
