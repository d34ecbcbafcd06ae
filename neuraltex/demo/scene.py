"""The demo scene as a whole: build it, photograph it, write it in any input format."""

import importlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from neuraltex.core.errors import UsageError
from neuraltex.core.files import write_json
from neuraltex.core.runtime import progress
from neuraltex.demo import atlas, bake, cameras, furniture, photograph
from neuraltex.demo import materials_things as things
from neuraltex.demo.photograph import Flaws
from neuraltex.demo.primitives import Patch, ball, place
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import images, meshes
from neuraltex.io.discover import place_file
from neuraltex.io.prepared import camera_to_json
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.shade import TexturedRenderer

Format = Literal["nerfstudio", "neural_texgen", "colmap", "rgbd", "openmvs"]
FORMATS: tuple[Format, ...] = ("nerfstudio", "neural_texgen", "colmap", "rgbd", "openmvs")
NAME = "demo"


@dataclass(frozen=True)
class DemoOptions:
    """How the demo scene is made.

    Args:
        formats: Input formats to write.
        num_views: Number of photographs.
        size: Their width and height [px].
        texture_size: Side of the texture [texel].
        exposure_jitter: Each photograph's color is multiplied by 1 plus or minus up to this.
        camera_noise: Error of the written cameras as reprojection error [px rms]; the photographs stay exact.
        lens_distortion: Take the photographs through a mildly distorted lens.
        moving_distractor: A ball that is in no mesh stands elsewhere in each photograph.
        blurred_photo: Spoil one photograph of the training set by a strong blur.
        tiny: A quick version of the same room for tests: coarser meshes, 512 texels, 12 views of 160x120.
        seed: Of jitter, noise and distractor; the room itself does not depend on it.
    """

    formats: tuple[Format, ...] = ("nerfstudio",)
    num_views: int = 40
    size: tuple[int, int] = (640, 480)
    texture_size: int = 2048
    exposure_jitter: float = 0.0
    camera_noise: float = 0.0
    lens_distortion: bool = False
    moving_distractor: bool = False
    blurred_photo: bool = False
    tiny: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.formats or set(self.formats) - set(FORMATS):
            raise UsageError(f"formats {self.formats} are unknown", hint=f"Use some of {', '.join(FORMATS)}")
        if self.num_views < 1 or min(self.size) < 8 or self.texture_size < 256:
            raise UsageError("the demo is too small", hint="Use at least 1 view, 8x8 pixels and 256 texels")
        if self.lens_distortion and set(self.formats) & {"neural_texgen", "openmvs"}:
            raise UsageError(
                "neural_texgen and openmvs know no lens distortion",
                source="--lens-distortion",
                hint="Leave them out: --format nerfstudio colmap rgbd",
            )
        if not 0 <= self.exposure_jitter < 1 or self.camera_noise < 0:
            raise UsageError("exposure jitter must be in [0, 1), camera noise at least 0", hint="Choose another value")
        if self.tiny:
            defaults = {"num_views": (40, 12), "size": ((640, 480), (160, 120)), "texture_size": (2048, 512)}
            for name, (usual, small) in defaults.items():
                if getattr(self, name) == usual:
                    object.__setattr__(self, name, small)


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What was written.

    Args:
        folders: Scene folder of every format.
        ground_truth: Folder of the exact texture, mesh and cameras.
        textured: The scene.
        cameras: Exact cameras by view name.
        flaws: What was done to each photograph, by view name.
    """

    folders: dict[str, Path]
    ground_truth: Path
    textured: TexturedMesh
    cameras: dict[str, Camera]
    flaws: dict[str, Flaws]


def build_room(*, tiny: bool = False, texture_size: int = 2048) -> tuple[TexturedMesh, tuple[atlas.Chart, ...]]:
    """Return the textured room and its charts; always the same."""
    patches = furniture.furnish()
    if tiny:
        patches = [_thin(patch) for patch in patches]
    charts = atlas.layout(patches, texture_size)
    mesh = atlas.build_mesh(charts, texture_size)
    texture = bake.bake_texture(mesh, charts, texture_size, quality=0.4 if tiny else 1.0)
    return TexturedMesh(mesh, (texture,)), charts


def write_demo(folder: Path, options: DemoOptions) -> DemoResult:
    """Make the scene and write it.

    Args:
        folder: Existing folder; the only format is written to it directly, several to subfolders.
        options: What to write.
    """
    textured, _ = build_room(tiny=options.tiny, texture_size=options.texture_size)
    names = [f"frame-{index:06d}" for index in range(options.num_views)]
    views = cameras.walk(options.num_views, *options.size, distorted=options.lens_distortion)
    exact = dict(zip(names, views, strict=True))
    flaws = dict(zip(names, _flaws(options), strict=True))
    truth = folder / "ground_truth"
    single = len(options.formats) == 1
    folders = {str(name): folder if single else folder / name for name in options.formats}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".photographs-") as staging, ThreadPoolExecutor(1) as writer:
        truth_written = writer.submit(_write_truth, truth, textured, exact, flaws)
        photographs = _take_photographs(Path(staging), writer, textured, exact, flaws, options)
        truth_written.result()
        scene = Scene(NAME, "demo", photographs, mesh_path=truth / "mesh.obj")
        for name, target in folders.items():
            target.mkdir(exist_ok=True)
            importlib.import_module(f"neuraltex.io.{name}").write(scene, target)
            for file in () if single else sorted(truth.iterdir()):
                place_file(file, target / "ground_truth" / file.name)
    return DemoResult(folders, truth, textured, exact, flaws)


def _take_photographs(
    staging: Path,
    writer: ThreadPoolExecutor,
    textured: TexturedMesh,
    exact: dict[str, Camera],
    flaws: dict[str, Flaws],
    options: DemoOptions,
) -> tuple[View, ...]:
    """Render all photographs (and depth images, where a format wants them); files are compressed meanwhile."""
    generator = np.random.default_rng(options.seed + 1)
    views, files = [], []
    renders = zip(exact.items(), _renderers(textured, exact, options), strict=True)
    for (name, camera), renderer in progress(renders, total=len(exact), label="photographs", unit="view"):
        pixels = photograph.photograph(renderer, camera, flaws[name])
        files.append(writer.submit(images.write_rgb, staging / f"{name}.png", pixels))
        written = camera
        if options.camera_noise > 0:
            written = cameras.disturb(camera, textured.mesh.vertices, options.camera_noise, generator)
        views.append(View(name, written, staging / f"{name}.png"))
    for file in files:
        file.result()
    return tuple(_with_depth(staging, textured.mesh, views, exact) if "rgbd" in options.formats else views)


def _renderers(textured: TexturedMesh, exact: dict[str, Camera], options: DemoOptions) -> Iterator[TexturedRenderer]:
    """The renderer of each view: always the same one, unless something moves in the room."""
    if not options.moving_distractor:
        renderer = TexturedRenderer(textured)
        for _ in exact:
            yield renderer
        return
    generator = np.random.default_rng(options.seed + 2)
    for camera in exact.values():
        yield TexturedRenderer(photograph.join(textured, _distractor(camera, generator)))


def _distractor(camera: Camera, generator: np.random.Generator) -> TexturedMesh:
    """A bright ball that hovers somewhere in the middle of the view."""
    across, ahead = generator.uniform(-0.25, 0.25), generator.uniform(0.9, 1.4)
    at = camera.center + camera.world_from_cam[:3, :3] @ np.array([across * ahead, 0.1 * ahead, ahead])
    patch = replace(ball(0.12, things.ball_panels, 32), name="distractor")
    charts = atlas.layout(place([patch], "distractor", tuple(at), turn=generator.uniform(0, 6), tilt=0.8), 256)
    mesh = atlas.build_mesh(charts, 256)
    texture = np.full((256, 256, 3), 128, np.uint8)
    chart = charts[0]
    color = chart.patch.material(bake.surface_of(chart))
    texture[chart.y : chart.y + chart.height, chart.x : chart.x + chart.width] = np.rint(color.clip(0, 1) * 255)
    return TexturedMesh(mesh, (texture,))


def _with_depth(staging: Path, mesh: Mesh, views: list[View], exact: dict[str, Camera]) -> list[View]:
    """Add a depth image to every view, as seen from where the photograph was really taken."""
    rasterizer = make_rasterizer(mesh)
    result = []
    for view in views:
        file = images.write_rgb(
            staging / f"{view.name}.depth.png", photograph.depth_image(rasterizer, exact[view.name])
        )
        result.append(replace(view, depth=file, depth_scale=photograph.MILLIMETERS))
    return result


def _flaws(options: DemoOptions) -> list[Flaws]:
    """Draw the exposure of every photograph and choose the blurred one: never a held-out one."""
    generator = np.random.default_rng(options.seed)
    gains = 1 + options.exposure_jitter * generator.uniform(-1, 1, options.num_views)
    flaws = [Flaws(float(gain)) for gain in gains]
    index = next((k for k in range(options.num_views // 2, options.num_views) if k % 8), None)
    if options.blurred_photo and index is not None:
        flaws[index] = replace(flaws[index], blur=options.size[0] / 130)
    return flaws


def _write_truth(folder: Path, textured: TexturedMesh, exact: dict[str, Camera], flaws: dict[str, Flaws]) -> None:
    """Write the exact texture, mesh and cameras."""
    images.write_rgb(folder / "texture.png", textured.textures[0])
    meshes.write_mesh(folder / "mesh.obj", textured.mesh)
    views = [
        {"name": name, "gain": flaws[name].gain, "blurred": flaws[name].blur > 0, "camera": camera_to_json(camera)}
        for name, camera in exact.items()
    ]
    write_json(folder / "cameras.json", {"version": 1, "views": views})


def _thin(patch: Patch) -> Patch:
    """Keep every third row and column of a grid."""
    rows, columns = (
        np.unique(np.linspace(0, n - 1, max(2, (n - 1) // 3 + 1)).round().astype(int)) for n in patch.grid.shape[:2]
    )
    pick = np.ix_(rows, columns)
    return replace(patch, grid=patch.grid[pick], local=None if patch.local is None else patch.local[pick])
