"""Package metadata: light hard dependencies, everything else an extra."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "neuraltex" / "__init__.py").read_text()).group(1)

EXTRAS = {
    "fusion": ["open3d>=0.18"],
    "colmap": ["pycolmap>=4.0"],
    "view": ["viser>=1.0"],
    "enhance": ["spandrel>=0.4"],
    "dev": ["pytest>=8", "hypothesis", "beartype", "import-linter", "ruff", "mypy", "scikit-image"],
}

setup(
    name="neuraltex",
    version=VERSION,
    description="Differentiable-rendering optimization of textures from posed photographs and a mesh",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[*find_packages(include=["neuraltex", "neuraltex.*"]), "neuraltex.presets"],
    package_dir={"neuraltex": "neuraltex", "neuraltex.presets": "options"},
    package_data={
        "neuraltex.presets": ["*.yaml", "learn/*.yaml"],
        "neuraltex.learn": ["weights/*.safetensors"],
        "neuraltex.report": ["*.css", "*.js"],
    },
    install_requires=[
        "torch>=2.4",
        "numpy>=1.26",
        "kornia>=0.7",
        "imageio>=2.34",
        "pillow>=10",
        "trimesh>=4.4",
        "embreex>=2.17.7.post4",
        "xatlas>=0.0.9",
        "tensorboard>=2.16",
        "tyro>=0.9",
        "pyyaml>=6",
        "tqdm>=4.66",
        "safetensors>=0.4",
        "numba>=0.60",
        "scipy>=1.11",
        "OpenEXR>=3.3",
        "jaxtyping>=0.2.30",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["neuraltex = neuraltex.cli:main"]},
)
