"""The viewer answers, holds the mesh and the cameras, and switches between runs."""

import builtins
import socket
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from box_scene import box_texture, write_box_run, write_box_scene

from neuraltex.core.errors import MissingDependency, UsageError
from neuraltex.fit.run import read_run
from neuraltex.io.prepared import read_prepared
from neuraltex.stages import view
from neuraltex.stages.view_error import error_texture

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("view")
    scene = write_box_scene(folder / "prepared", num_views=6).path
    wrong = box_texture()
    wrong[:64] = 255 - wrong[:64]
    runs = [
        write_box_run(folder / name, scene, texture, "same") for name, texture in (("a", box_texture()), ("b", wrong))
    ]
    return scene, *runs


@pytest.fixture(scope="module")
def page(folders):
    pytest.importorskip("viser")
    from neuraltex.stages.view_page import ViewerPage

    opened = ViewerPage([read_run(run) for run in folders[1:]], read_prepared(folders[0]), "127.0.0.1", free_port())
    yield opened
    opened.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_page_answers(page):
    with urllib.request.urlopen(page.url, timeout=20) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read().lower()


def test_mesh_and_cameras_are_in_the_scene(page):
    assert ("same (a)", "Photo colors") in page.meshes
    assert page.meshes["same (a)", "Photo colors"].visible
    assert len(page.frusta) == 6
    camera = read_prepared(page._scene.path).views[1].camera
    frustum = page.frusta["view 01"]
    np.testing.assert_allclose(frustum.position, camera.center - page._center, atol=1e-6)
    assert frustum.aspect == pytest.approx(96 / 72)


def test_textures_switch_and_errors_overlay(page):
    page._texture.value = "same (b)"
    page._mode.value = "Error"
    wait_for(lambda: ("same (b)", "Error") in page.meshes and page.meshes["same (b)", "Error"].visible)
    wait_for(lambda: not page.meshes["same (a)", "Photo colors"].visible)
    assert "Black: none" in page._facts.content


def test_stepping_through_photographs_shows_them(page):
    page._step(1)
    wait_for(lambda: page._photo.label == "view 01 (fitted to)")
    assert not page.frusta["view 01"].visible
    assert page.frusta["view 00"].visible
    page._step(-1)
    wait_for(lambda: page._photo.label == "view 00 (held out)")


def wait_for(condition) -> None:
    """Callbacks of the viewer run in its own thread."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_error_texture_is_bright_where_the_texture_is_wrong(folders):
    views = read_prepared(folders[0]).views
    right, wrong = (error_texture(read_run(run).texture, views, 128).astype(int).sum(-1) for run in folders[1:])
    seen = right != 270  # grey
    assert 0.1 < seen.mean() < 0.9
    upper, lower = seen.copy(), seen.copy()
    upper[60:], lower[:68] = False, False
    assert wrong[upper].mean() > right[upper].mean() + 150
    np.testing.assert_array_equal(wrong[lower], right[lower])


def test_the_verb_serves_until_interrupted(folders, monkeypatch):
    pytest.importorskip("viser")
    asked = []

    def interrupt():
        asked.append(True)
        raise KeyboardInterrupt

    monkeypatch.setattr(view, "wait_for_interrupt", interrupt)
    result = view.run(view.Config(run=(folders[1],), port=free_port(), quiet=True))
    assert len(asked) == 1
    assert result.path == folders[1]
    assert result.data["url"].startswith("http://localhost:")


def test_refusals_name_the_fix(folders, monkeypatch):
    with pytest.raises(UsageError, match="--run"):
        view.run(view.Config(run=()))
    with pytest.raises(UsageError, match="--port"):
        view.Config(run=(folders[1],), port=0)
    original = builtins.__import__

    def without_viser(name, *rest):
        if name.startswith("viser"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_viser)
    with pytest.raises(MissingDependency, match=r"pip install viser"):
        view.run(view.Config(run=(folders[1],)))
