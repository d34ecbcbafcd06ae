"""The page of the viewer (viser): what is shown, and what its controls do. The only module that imports viser."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from neuraltex.core.errors import MissingDependency
from neuraltex.core.runtime import logger
from neuraltex.fit.run import Run
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.export import glb_bytes
from neuraltex.io.images import to_uint8
from neuraltex.io.prepared import PreparedScene, PreparedView
from neuraltex.report.pictures import evenly, reduce_image
from neuraltex.stages.view_error import FULL_SCALE, error_texture

MAX_FRUSTA = 150
THUMBNAIL_SIDE, PHOTO_SIDE = 200, 640
FRUSTUM_SHARE = 0.02
"""Size of a camera, as a share of the mesh."""
TRAIN_COLOR, TEST_COLOR = (15, 107, 98), (209, 89, 11)
COLOR, ERROR = "Photo colors", "Error"


class ViewerPage:
    """Serves runs of one scene.

    The world is moved so that the mesh's center is the origin: browsers compute in single precision.

    Args:
        runs: Finished runs; the first is shown first.
        scene: Prepared scene with the photographs.
        host: Address to listen on.
        port: Preferred port.

    Raises:
        MissingDependency: if viser is not installed.
    """

    def __init__(self, runs: Sequence[Run], scene: PreparedScene, host: str, port: int) -> None:
        viser = _import_viser()
        self._runs = dict(zip(_labels(runs), runs, strict=True))
        self._scene, self._rotation = scene, viser.transforms.SO3.from_matrix
        vertices = scene.mesh.vertices
        self._center = (vertices.min(0) + vertices.max(0)) / 2
        self._size = float(np.linalg.norm(np.ptp(vertices, axis=0)))
        with _quiet():
            label = f"neuraltex: {scene.info.get('name', '')}"
            self.server = viser.ViserServer(host=host, port=port, label=label, verbose=False)
        self.url = f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1') else host}:{self.server.get_port()}"
        self.meshes: dict[tuple[str, str], Any] = {}
        self.frusta: dict[str, Any] = {}
        self._orient()
        self._add_controls()
        self._add_cameras()
        self._show()

    def stop(self) -> None:
        """Close the page."""
        with _quiet():
            self.server.stop()

    def _orient(self) -> None:
        """Up is where the photographers held it; the first camera is where a visitor starts."""
        cameras = [view.camera for view in self._scene.views]
        up = -np.mean([camera.cam_from_world[1, :3] for camera in cameras], axis=0)
        self.server.scene.set_up_direction(tuple(up / (np.linalg.norm(up) or 1)))
        self.server.on_client_connect(lambda client: self._go_to(client, self._scene.views[0]))

    def _add_controls(self) -> None:
        gui = self.server.gui
        names = [view.name for view in self._scene.views]
        self._texture = gui.add_dropdown("Texture", list(self._runs))
        self._mode = gui.add_dropdown("Show", [COLOR, ERROR])
        self._facts = gui.add_markdown("")
        with gui.add_folder("Photographs"):
            self._view = gui.add_dropdown("Go to", names)
            steps = gui.add_button_group("Step", ["previous", "next"])
            self._cameras = gui.add_checkbox("Show cameras", True)
            scale = gui.add_slider("Camera size", 0.2, 5.0, 0.1, 1.0)
            self._photo = gui.add_image(np.zeros((3, 4, 3), np.uint8), label="Photograph")
        self._texture.on_update(lambda _: self._show())
        self._mode.on_update(lambda _: self._show())
        self._view.on_update(lambda event: self._go_to(event.client, self._find(self._view.value)))
        steps.on_click(lambda event: self._step(1 if event.target.value == "next" else -1))
        self._cameras.on_update(lambda _: self._show_frusta())
        scale.on_update(lambda _: self._scale_frusta(scale.value))

    def _add_cameras(self) -> None:
        """Frusta with thumbnails; held-out photographs in another color. A click goes there."""
        for view in evenly(self._scene.views, MAX_FRUSTA):
            camera = view.camera
            frustum = self.server.scene.add_camera_frustum(
                f"/cameras/{view.name}",
                fov=_vertical_fov(view),
                aspect=camera.width / camera.height,
                scale=self._size * FRUSTUM_SHARE,
                color=TEST_COLOR if view.split == "test" else TRAIN_COLOR,
                image=reduce_image(view.load_image(), THUMBNAIL_SIDE),
                **self._pose(view),
            )
            frustum.on_click(lambda event, view=view: self._select(event.client, view))
            self.frusta[view.name] = frustum

    def _show(self) -> None:
        """Show the chosen run and mode; meshes are built when first asked for and hidden afterwards."""
        label, mode = self._texture.value, self._mode.value
        if (label, mode) not in self.meshes:
            content = glb_bytes(self._moved(self._runs[label].mesh), self._appearance(label, mode))
            name = f"/textured/{list(self._runs).index(label)}/{mode.lower().replace(' ', '_')}"
            self.meshes[label, mode] = self.server.scene.add_glb(name, content, cast_shadow=False, receive_shadow=False)
        for key, mesh in self.meshes.items():
            mesh.visible = key == (label, mode)
        self._facts.content = self._describe(self._runs[label], mode)

    def _appearance(self, label: str, mode: str) -> np.ndarray:
        run = self._runs[label]
        if mode == COLOR:
            return to_uint8(run.texture)
        logger.info("gathering the errors of %s", label)
        return error_texture(run.texture, self._views_of(run), min(1024, run.texture.shape[0]))

    def _views_of(self, run: Run) -> Sequence[PreparedView]:
        """Views whose uv maps belong to the layout of the run."""
        if run.scene_path.resolve() == self._scene.path.resolve():
            return self._scene.views
        from neuraltex.io.prepared import read_prepared

        return read_prepared(run.scene_path).views

    def _describe(self, run: Run, mode: str) -> str:
        manifest = run.manifest
        facts = [f"{run.texture.shape[1]} × {run.texture.shape[0]} texels", f"{run.mesh.num_faces:,} faces"]
        if manifest.get("seconds"):
            facts.append(f"{manifest['seconds']:.0f} s")
        scale = f"\n\nBlack: none. Pale yellow: {round(FULL_SCALE * 255)}/255 or more. Grey: not seen."
        return " · ".join(facts) + scale * (mode == ERROR)

    def _step(self, by: int) -> None:
        names = [view.name for view in self._scene.views]
        self._view.value = names[(names.index(self._view.value) + by) % len(names)]

    def _select(self, client: Any, view: PreparedView) -> None:
        if self._view.value == view.name:
            self._go_to(client, view)
        else:
            self._view.value = view.name

    def _go_to(self, client: Any, view: PreparedView) -> None:
        """Look through a camera; without a client (a change made by a button), everybody does."""
        self._photo.image = reduce_image(view.load_image(), PHOTO_SIDE)
        self._photo.label = f"{view.name} ({'held out' if view.split == 'test' else 'fitted to'})"
        self._show_frusta(except_for=view.name)
        pose = self._pose(view)
        for one in [client] if client is not None else self.server.get_clients().values():
            with one.atomic():
                one.camera.wxyz, one.camera.position = pose["wxyz"], pose["position"]
                one.camera.fov = _vertical_fov(view)

    def _pose(self, view: PreparedView) -> dict[str, Any]:
        """Viser's cameras have our axes: +x right, +y down, +z forward."""
        return {
            "wxyz": self._rotation(view.camera.world_from_cam[:3, :3]).wxyz,
            "position": view.camera.center - self._center,
        }

    def _moved(self, mesh: Mesh) -> Mesh:
        return replace(mesh, vertices=mesh.vertices - self._center)

    def _find(self, name: str) -> PreparedView:
        return next(view for view in self._scene.views if view.name == name)

    def _show_frusta(self, except_for: str = "") -> None:
        """Show the cameras, but not the one looked through: its thumbnail would hide everything."""
        for name, frustum in self.frusta.items():
            frustum.visible = self._cameras.value and name != except_for

    def _scale_frusta(self, factor: float) -> None:
        for frustum in self.frusta.values():
            frustum.scale = self._size * FRUSTUM_SHARE * factor


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Viser greets on stdout, which is for results."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _import_viser() -> Any:
    try:
        import viser
        import viser.transforms
    except ImportError as error:
        raise MissingDependency("the viewer needs viser", hint="Run: pip install viser") from error
    return viser


def _vertical_fov(view: PreparedView) -> float:
    """Vertical angle of view [rad] of the pinhole part."""
    return float(2 * np.arctan(view.camera.height / (2 * abs(view.camera.fy))))


def _labels(runs: Sequence[Run]) -> list[str]:
    """Method names, told apart by folder where they are equal."""
    methods = [str(run.manifest.get("method") or run.path.name) for run in runs]
    wide = [f"{m} ({run.path.name})" if methods.count(m) > 1 else m for m, run in zip(methods, runs, strict=True)]
    return [f"{name} #{index + 1}" if wide.count(name) > 1 else name for index, name in enumerate(wide)]
