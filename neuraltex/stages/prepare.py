"""``neuraltex prepare``: a reconstructed scene in, a prepared folder out (see ``io/prepared.py``)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from neuraltex.core.errors import DataError, UsageError
from neuraltex.core.files import claim_output_dir, write_text
from neuraltex.core.runtime import logger, timed
from neuraltex.stages.common import Common, OptionalPath, Result

if TYPE_CHECKING:
    from neuraltex.geometry.mesh import Mesh
    from neuraltex.geometry.scene import Scene, Split
    from neuraltex.render.fragments import Rasterizer
    from neuraltex.stages.prepare_views import PreparedViews

GROUND_TRUTH = Path("ground_truth", "texture.png")
"""Where a synthetic scene keeps its true texture."""

UNFINISHED = ".unfinished"
"""Present while a prepared folder is being written."""


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Read a scene, unwrap its mesh, render uv maps: everything a fit needs."""

    data: Path
    """Scene folder or file, in any supported format."""
    output_dir: Path
    """Folder to write."""
    mesh: OptionalPath = None
    """Mesh file (obj, ply, off, glb, stl); by default the one the scene names or that lies beside it."""
    format: Literal["auto", "neural_texgen", "colmap", "nerfstudio", "rgbd", "openmvs"] = "auto"
    """Format of the scene."""
    texture_size: int = 2048
    """Side of the square texture [texel]; charts are packed and footprints given for it."""
    image_scale: float = 1.0
    """Resample the photographs by this factor, e.g. 0.5."""
    test_every: int = 8
    """Hold out every N-th photograph by name, starting with the first; 0 holds out none."""
    backend: Literal["auto", "zbuffer", "embree", "pytorch3d", "reference"] = "auto"
    """Rasterizer; auto takes pytorch3d on CUDA where it is installed, else the z-buffer on the CPU."""
    keep_uv: bool = True
    """Keep the texture coordinates of the mesh if it has some; otherwise always unwrap."""
    unwrap: Literal["fast", "xatlas"] = "fast"
    """How charts are cut: fast clusters and flattens faces in a second or two; xatlas takes ten times longer."""
    color_camera: OptionalPath = None
    """RGB-D: JSON file with a separate calibration of the color camera."""
    skip_bad_images: bool = False
    """Go on without unreadable photographs, and list them."""
    uv_format: Literal["npz", "exr"] = "npz"
    """Files of the uv maps: compact npz, or float32 OpenEXR that other tools read."""
    camera_dir: OptionalPath = None
    """neural_texgen: folder of the cameras, where it is not the usual one."""
    image_dir: OptionalPath = None
    """neural_texgen: folder of the photographs."""
    file_list: OptionalPath = None
    """neural_texgen: list of the frames to use."""

    def __post_init__(self) -> None:
        if self.texture_size < 16 or self.texture_size > 32768:
            raise UsageError(f"texture size {self.texture_size} is not in [16, 32768]", source="--texture-size")
        if not 0 < self.image_scale <= 4:
            raise UsageError(f"image scale {self.image_scale} is not in (0, 4]", source="--image-scale")
        if self.test_every < 0 or self.test_every == 1:
            raise UsageError(
                f"{self.test_every} would hold out every photograph"
                if self.test_every
                else f"{self.test_every} is negative",
                source="--test-every",
                hint="Use 0 (none) or at least 2",
            )


def run(config: Config) -> Result:
    """Prepare a scene.

    Raises:
        DataError: if the scene cannot be read, has no mesh, or no view sees the mesh.
        OutputError: if the folder holds another result and ``overwrite`` is not given, or cannot be written.
    """
    from neuraltex.io.prepared import PreparedScene, write_prepared
    from neuraltex.stages.prepare_proof import prove

    folder = _claim(config)
    seconds: dict[str, float] = {}
    with timed("read", seconds):
        scene, splits = _read_scene(config)
    with timed("mesh", seconds):
        mesh = _find_mesh(config, scene, splits)
    with timed("unwrap", seconds):
        mesh, layout = _parameterize(config, mesh)
    rasterizer = _make_rasterizer(config, mesh, scene)
    with timed("views", seconds):
        done = _render(config, folder, mesh, rasterizer, scene, splits)
    with timed("proof", seconds):
        alignment = prove(folder, mesh, rasterizer, done.views)
    with timed("write", seconds):
        _write_readable_mesh(folder, mesh)
    info = {
        **_describe(config, scene, done),
        **layout,
        "alignment": alignment,
        "seconds": {step: round(value, 3) for step, value in seconds.items()},
    }
    write_prepared(PreparedScene(folder, mesh, config.texture_size, done.views, info))
    (folder / UNFINISHED).unlink(missing_ok=True)
    return Result(folder, info)


def _claim(config: Config) -> Path:
    """Claim the output folder; what an interrupted run left is replaced without asking."""
    unfinished = (config.output_dir / UNFINISHED).is_file()
    folder = claim_output_dir(config.output_dir, overwrite=config.overwrite or unfinished)
    write_text(folder / UNFINISHED, "neuraltex prepare is at work here, or was interrupted\n")
    return folder


def _read_scene(config: Config) -> tuple[Scene, dict[str, Split]]:
    """Read and check the scene; bad photographs are left out after the split, which never depends on them."""
    from neuraltex.geometry.scene import split_by_index
    from neuraltex.io.load import load_scene
    from neuraltex.io.validate import validate_scene

    names = ("mesh", "color_camera", "camera_dir", "image_dir", "file_list")
    options = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    scene = load_scene(config.data, config.format, **options)
    splits = split_by_index([view.name for view in scene.views], config.test_every)
    scene = validate_scene(scene, skip_bad=config.skip_bad_images)
    if len(scene.views) < 2 and "train" not in {splits[view.name] for view in scene.views}:
        splits = dict.fromkeys(splits, "train")
    kept = [splits[view.name] for view in scene.views]
    if "train" not in kept:
        raise DataError(
            f"{config.data} has no photograph left to fit to", hint="Give more photographs or a larger --test-every"
        )
    if "test" not in kept:
        scene = scene.with_views(scene.views, "no photograph is held out, so results can be looked at but not scored")
    for note in scene.notes:
        logger.info("%s", note)
    logger.info("%s: %d photographs to fit, %d held out", scene.name, kept.count("train"), kept.count("test"))
    return scene, splits


def _find_mesh(config: Config, scene: Scene, splits: dict[str, Split]) -> Mesh:
    """Take the mesh of the scene (or the one asked for, which the reader put there), or fuse one from depth images.

    Raises:
        DataError: if there is none, or it is broken.
        MissingDependency: if a mesh must be fused and Open3D is missing.
    """
    from neuraltex.io.fuse import fuse_scene
    from neuraltex.io.meshes import read_mesh

    if config.mesh is not None:
        return read_mesh(config.mesh)
    if scene.mesh is not None:
        return scene.mesh
    if scene.mesh_path is not None:
        return read_mesh(scene.mesh_path)
    if any(view.depth is not None for view in scene.views):
        logger.info("the scene has no mesh; fusing the depth images of the views to fit")
        train = tuple(view for view in scene.views if splits[view.name] == "train")  # Held-out views only score.
        return fuse_scene(scene.with_views(train))
    raise DataError(f"{config.data} has no mesh and no depth images to make one", hint="Pass --mesh FILE")


def _parameterize(config: Config, mesh: Mesh) -> tuple[Mesh, dict[str, Any]]:
    """Keep and check the uvs of the mesh, or unwrap it."""
    from neuraltex.geometry.unwrap import unwrap
    from neuraltex.geometry.uv_check import check_uv

    logger.info("mesh: %d vertices, %d faces", len(mesh.vertices), mesh.num_faces)
    report: dict[str, Any] = {"faces": mesh.num_faces, "unwrap": None}
    if not (mesh.has_uv and config.keep_uv):
        mesh, unwrapped = unwrap(mesh, texture_size=config.texture_size, method=config.unwrap)
        report["unwrap"] = asdict(unwrapped)
    checked = check_uv(mesh)
    report["uv"] = asdict(checked)
    (logger.info if checked.clean else logger.warning)("%s", checked)
    return mesh, report


def _make_rasterizer(config: Config, mesh: Mesh, scene: Scene) -> Rasterizer:
    """Build the rasterizer asked for; ``auto`` is the z-buffer if any lens is distorted, which pytorch3d refuses.

    Torch, which takes longer to load than many a scene to render, is imported only for pytorch3d.
    """
    from importlib.util import find_spec

    from neuraltex.core.runtime import resolve_device
    from neuraltex.render.fragments import make_rasterizer

    backend = config.backend
    if backend == "auto" and (find_spec("pytorch3d") is None or any(v.camera.lens != "pinhole" for v in scene.views)):
        backend = "zbuffer"
    return make_rasterizer(mesh, backend, resolve_device("auto") if backend in ("auto", "pytorch3d") else "cpu")


def _render(
    config: Config, folder: Path, mesh: Mesh, rasterizer: Rasterizer, scene: Scene, splits: dict[str, Split]
) -> PreparedViews:
    """Render and write the uv maps, confidence and photographs of all views.

    Raises:
        DataError: if the mesh is not visible in any view.
    """
    from neuraltex.stages.prepare_views import prepare_views

    done = prepare_views(
        folder,
        scene.views,
        splits,
        mesh,
        rasterizer,
        texture_size=config.texture_size,
        image_scale=config.image_scale,
        uv_suffix=f".{config.uv_format}",
    )
    if not any(view.split == "train" for view in done.views):
        raise DataError(
            f"no uv overlap with any view: the mesh is not visible in any of the {len(scene.views)} photographs",
            source=str(config.data),
            hint="Mesh and cameras are probably in different coordinate systems; check --mesh and the cameras",
        )
    if done.blind:
        logger.warning(
            "%d photograph(s) do not see the mesh and are left out: %s", len(done.blind), ", ".join(done.blind)
        )
    return done


def _describe(config: Config, scene: Scene, done: PreparedViews) -> dict[str, Any]:
    """Return what scene.json says about where it came from."""
    from neuraltex import __version__

    truth = config.data / GROUND_TRUTH
    return {
        "name": scene.name,
        "format": scene.format,
        "source": str(config.data.resolve()),
        "neuraltex": __version__,
        "notes": list(scene.notes),
        "ground_truth": str(truth.resolve()) if truth.is_file() else None,
        "statistics": done.statistics(),
    }


def _write_readable_mesh(folder: Path, mesh: Mesh) -> None:
    from neuraltex.io.meshes import write_mesh

    write_mesh(folder / "mesh.obj", mesh)
