"""``neuraltex doctor``: versions and backends, what is missing and how to get it."""

import importlib
import importlib.metadata
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuraltex import __version__
from neuraltex.stages.common import Common, Flag, Result

REQUIRED = (
    "torch", "numpy", "kornia", "imageio", "pillow", "trimesh", "embreex", "xatlas", "tensorboard", "tyro", "pyyaml",
    "tqdm", "safetensors", "numba", "scipy", "OpenEXR", "jaxtyping",
)  # fmt: skip
OPTIONAL = {
    "pycolmap": ("COLMAP scenes and rare lens models", "pip install pycolmap"),
    "viser": ("neuraltex view", "pip install viser"),
    "open3d": ("fusing RGB-D frames into a mesh", "pip install open3d"),
    "spandrel": (
        "learned super-resolution of photographs",
        "pip install spandrel (and the torchvision build that matches torch)",
    ),
    "pytorch3d": ("rasterization on CUDA", "build it from source as its INSTALL.md says; it is not on PyPI"),
}
MODULES = {"pillow": "PIL", "pyyaml": "yaml"}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """What to check."""

    fetch_weights: Flag = False
    """Download the VGG16 and LPIPS weights into the cache."""


def run(config: Config) -> Result:
    """Report the installation; exits with 1 if something required is missing."""
    fetched = _fetch_weights() if config.fetch_weights else []
    required = {name: _probe(name) for name in REQUIRED}
    optional = {name: _probe(name) for name in OPTIONAL}
    facts = {**_machine(), "weights": _weights(), "fetched": fetched}
    broken = [name for name, probe in required.items() if probe["error"]]
    data = {"version": __version__, **facts, "required": required, "optional": optional, "missing": broken}
    return Result(None, data, text=_text(data), exit_code=1 if broken else 0)


def _fetch_weights() -> list[str]:
    from neuraltex.io.weights import fetch_weights

    return [str(path) for path in fetch_weights()]


def _probe(name: str) -> dict[str, str]:
    """Import a package for real: a wheel may be there and its system library not (open3d without libusb)."""
    try:
        importlib.import_module(MODULES.get(name, name))
    except Exception as error:  # A package that fails to import in any way is what we report
        return {"version": "", "error": str(error).splitlines()[0] if str(error) else type(error).__name__}
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = "?"
    return {"version": version, "error": ""}


def _machine() -> dict[str, Any]:
    import torch

    from neuraltex.core.runtime import cache_dir

    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "threads": torch.get_num_threads(),
        "cuda": cuda,
        "cache": cache_dir(),
    }


def _weights() -> dict[str, str]:
    """Weight files in the cache, by name."""
    from neuraltex.core.runtime import cache_dir

    return {path.name: str(path) for path in sorted(Path(cache_dir()).glob("*.safetensors"))}


def _text(data: dict[str, Any]) -> str:
    cuda = data["cuda"] or "none; everything runs on the CPU"
    lines = [f"neuraltex {data['version']}, Python {data['python']}, {data['platform']}"]
    lines += [f"CUDA: {cuda}; {data['threads']} CPU threads; weights are kept in {data['cache']}", "", "required"]
    lines += [_line(name, probe, "bash scripts/setup.sh") for name, probe in data["required"].items()]
    lines += ["", "optional"]
    for name, (purpose, command) in OPTIONAL.items():
        probe = data["optional"][name]
        remedy = _system_library(probe["error"]) or command
        lines.append(_line(f"{name} ({purpose})", probe, remedy, missing="not there"))
    backend = "pytorch3d" if data["cuda"] and not data["optional"]["pytorch3d"]["error"] else "embree"
    weights = ", ".join(data["weights"]) or "none cached; run: neuraltex doctor --fetch-weights"
    lines += ["", f"rasterizer chosen by --backend auto: {backend}", f"perceptual weights: {weights}"]
    return "\n".join(lines)


def _line(label: str, probe: dict[str, str], command: str, missing: str = "MISSING") -> str:
    if not probe["error"]:
        return f"  ok  {label} {probe['version']}"
    return f"  --  {label}: {missing} ({probe['error']}). Run: {command}"


def _system_library(error: str) -> str:
    return "apt-get install libusb-1.0-0" if "libusb" in error else ""
