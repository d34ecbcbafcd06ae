"""The contenders of a comparison: runs, foreign meshes and, for synthetic scenes, the ground truth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.core.files import read_json
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io.prepared import PreparedScene
from neuraltex.stages.compare_cameras import refined_cameras

if TYPE_CHECKING:
    from neuraltex.stages.compare_regions import TextureRegions

TRUTH_NAME = "ground truth"
RESERVED_NAMES = ("photo", TRUTH_NAME)


@dataclass(frozen=True, eq=False)
class Contender:
    """One textured mesh to judge, and what the report says about it besides its scores."""

    name: str
    textured: TexturedMesh
    details: dict[str, Any] = field(default_factory=dict)  # further fields of report.values.Method
    cameras: dict[str, Camera] = field(default_factory=dict)  # of held-out views, where the run refined them

    def method(self, rows: dict[str, dict[str, float | None]]) -> Any:
        """Return the contender with its scores as ``report.values.Method``."""
        from neuraltex.report.values import Method

        return Method(self.name, rows, **self.details)


def load_contenders(
    runs: tuple[Path, ...],
    meshes: tuple[Path, ...],
    scene: PreparedScene,
    regions: TextureRegions | None = None,
) -> tuple[list[Contender], tuple[str, ...]]:
    """Read everything that competes, in the order given; the ground truth, if there is one, comes last.

    Args:
        runs: Run folders.
        meshes: Foreign textured meshes.
        scene: What they are judged on.
        regions: Where to compare textures with the ground truth, beside all seen texels.

    Returns:
        Contenders with unique names, and notes for the reader of the report.

    Raises:
        DataError: if a run or mesh cannot be read.
    """
    truth = _Truth.find(scene)
    contenders, notes = [], []
    for path in runs:
        contender, leaked = _from_run(path, scene, truth, regions)
        contenders.append(contender)
        if leaked:
            notes.append(f"{path} was fitted to {leaked} of the held-out photographs, so its scores are too good.")
    contenders += [_from_mesh(path) for path in meshes]
    names = _unique([contender.name for contender in contenders], [path.resolve() for path in (*runs, *meshes)])
    contenders = [replace(contender, name=name) for contender, name in zip(contenders, names, strict=True)]
    if truth is not None:
        contenders.append(truth.contender())
        if not truth.shares_layout(scene.mesh):
            notes.append("The scene was unwrapped anew, so textures cannot be compared with the ground truth by texel.")
    return contenders, tuple(notes)


def _from_run(
    path: Path, scene: PreparedScene, truth: _Truth | None, regions: TextureRegions | None
) -> tuple[Contender, int]:
    """Return the contender and how many held-out photographs it was fitted to."""
    from neuraltex.fit.run import read_run
    from neuraltex.io.images import to_uint8
    from neuraltex.metrics.seams import median_seam_jump

    run, refined = read_run(path), refined_cameras(path, scene)
    texture = to_uint8(run.texture)
    manifest = run.manifest
    facts = {
        "Texture": f"{texture.shape[1]} × {texture.shape[0]}",
        "Steps": str(manifest.get("steps", "")),
        "Device": str(manifest.get("device", "")),
        "Seed": str(manifest.get("seed", "")),
        "Start": str(manifest.get("init", "")),
        "Prior": str(manifest.get("prior", "")),
    }
    extra = {key: manifest.get(key) for key in ("seconds", "peak_memory_gb")}
    extra["seam_jump"] = median_seam_jump(run.mesh, run.texture.clip(0, 1))
    if truth is not None and truth.shares_layout(run.mesh):
        extra["psnr_truth"] = truth.score(run.texture, run.coverage)
        if regions is not None:
            extra |= regions.scores(run.texture, truth.resized(run.texture.shape))
    details = {
        "extra": extra,
        "facts": {label: words for label, words in facts.items() if words} | refined.facts,
        "texture": texture,
        "coverage": run.coverage,
        "history": run.history,
        "predicted": manifest.get("init") == "learned" or manifest.get("prior", "none") != "none",
        "config": (path / "config.yaml").read_text(encoding="utf-8") if (path / "config.yaml").is_file() else "",
    }
    textured = TexturedMesh(run.mesh, (texture,), np.zeros(run.mesh.num_faces, np.int64))
    name = str(manifest.get("method") or path.name)
    return Contender(name, textured, details, refined.held_out), _count_leaks(run.scene_path, scene)


def _count_leaks(fitted_scene: Path, scene: PreparedScene) -> int:
    """Held-out photographs of this scene that belong to the training views of the scene a run was fitted to."""
    if fitted_scene.resolve() == scene.path.resolve():
        return 0
    views = read_json(fitted_scene / "scene.json").get("views", [])
    trained = {view["name"] for view in views if view["split"] == "train"}
    return len(trained & {view.name for view in scene.split("test")})


def _from_mesh(path: Path) -> Contender:
    from neuraltex.io.meshes import read_textured_mesh

    textured = read_textured_mesh(path)
    facts = {"File": path.name, "Mesh": f"{textured.mesh.num_faces:,} faces"}
    if textured.textures:
        sizes = [f"{texture.shape[1]} × {texture.shape[0]}" for texture in textured.textures]
        facts["Textures"] = ", ".join(sizes) if len(sizes) <= 4 else f"{len(sizes)}, the first {sizes[0]}"
    elif textured.vertex_colors is not None:
        facts["Textures"] = "none, vertex colors"
    single = textured.textures[0][..., :3] if len(textured.textures) == 1 else None
    return Contender(path.stem, textured, {"facts": facts, "texture": single})


def _unique(names: list[str], paths: list[Path]) -> list[str]:
    """Tell equal names apart by their folders, and by a number where that does not help."""
    wide = [
        f"{name} ({path.name if path.is_dir() else path.parent.name + '/' + path.name})"
        if names.count(name) > 1 or name in RESERVED_NAMES
        else name
        for name, path in zip(names, paths, strict=True)
    ]
    return [f"{name} #{wide[:i].count(name) + 1}" if wide.count(name) > 1 else name for i, name in enumerate(wide)]


@dataclass(frozen=True, eq=False)
class _Truth:
    """The texture a synthetic scene was photographed with."""

    mesh: Mesh
    texture: np.ndarray

    @classmethod
    def find(cls, scene: PreparedScene) -> _Truth | None:
        from neuraltex.io.images import read_rgb
        from neuraltex.io.meshes import read_mesh

        path = scene.info.get("ground_truth")
        if not path or not Path(path).is_file():
            return None
        try:
            mesh = read_mesh(Path(path).with_name("mesh.obj"))
        except DataError:
            mesh = scene.mesh
        return cls(mesh, read_rgb(Path(path)))

    def contender(self) -> Contender:
        facts = {"Texture": f"{self.texture.shape[1]} × {self.texture.shape[0]}"}
        textured = TexturedMesh(self.mesh, (self.texture,), np.zeros(self.mesh.num_faces, np.int64))
        return Contender(TRUTH_NAME, textured, {"facts": facts, "texture": self.texture, "reference": True})

    def shares_layout(self, mesh: Mesh) -> bool:
        same = self.mesh.has_uv and mesh.has_uv and self.mesh.num_faces == mesh.num_faces
        return same and bool(np.allclose(self.mesh.corner_uvs, mesh.corner_uvs, atol=1e-5))

    def score(self, texture: np.ndarray, coverage: np.ndarray) -> float | None:
        """PSNR of the seen texels [dB]; the truth is resampled to the size of the texture."""
        from neuraltex.metrics.image import psnr

        seen = coverage > 191
        return psnr(np.clip(texture, 0, 1), self.resized(texture.shape), seen) if seen.any() else None

    def resized(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the true texture at the size of another one."""
        from PIL import Image

        return np.asarray(Image.fromarray(self.texture).resize((shape[1], shape[0]), Image.Resampling.BOX))
