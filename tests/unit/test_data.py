"""Reading views: budget, streaming and windows."""

import threading
from pathlib import Path

import numpy as np
import pytest
from plane_scene import write_plane_scene

from neuraltex.config.schema import PixelConfig
from neuraltex.core.errors import DataError
from neuraltex.fit import data as data_module
from neuraltex.fit.data import ViewData, ViewStore, load_view
from neuraltex.io.prepared import PreparedScene

GB = 1024**3


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> PreparedScene:
    return write_plane_scene(tmp_path_factory.mktemp("plane"))


def store_for(scene: PreparedScene, views: float) -> ViewStore:
    """Return a store with room for so many views."""
    size = load_view(scene.split("train")[0], PixelConfig()).nbytes
    return ViewStore(scene.split("train"), PixelConfig(), budget_gb=views * size / GB)


def test_cache_stays_within_its_budget(scene: PreparedScene) -> None:
    store = store_for(scene, 2.5)
    for index in (0, 1, 2, 3, 0):
        store.load(index)
        assert len(store._cache) <= 2
    assert list(store._cache) == [3, 0]


def test_stream_yields_what_load_returns_in_the_given_order(scene: PreparedScene) -> None:
    store = store_for(scene, 0)
    order = [4, 0, 2]
    streamed = list(store.stream(order))
    assert [index for index, _ in streamed] == order
    for index, data in streamed:
        np.testing.assert_array_equal(data.image, store.load(index).image)
        np.testing.assert_array_equal(data.uv, store.load(index).uv)
    assert [index for index, _ in store.stream()] == list(range(len(store)))
    assert list(store.stream([])) == []


def test_stream_without_budget_holds_two_views_at_most(scene: PreparedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory must not grow with the number of photographs."""
    alive, most, lock = 0, 0, threading.Lock()

    class Counted(ViewData):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def load(*args: object) -> ViewData:
        nonlocal alive, most
        data = load_view(*args)  # type: ignore[arg-type]
        with lock:
            alive += 1
            most = max(most, alive)
        return Counted(data.image, data.uv, data.weight, data.footprint)

    monkeypatch.setattr(data_module, "load_view", load)
    store = store_for(scene, 0)
    for _index, data in store.stream():
        assert data.weight.any()
        del data
    assert most <= 2
    assert alive == 0


def test_repeated_streams_read_only_what_has_no_room(scene: PreparedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evicting the least recently used view would read every view again in every pass."""
    store, read = store_for(scene, 4.5), []
    monkeypatch.setattr(data_module, "load_view", lambda *args: (read.append(args[0]), load_view(*args))[1])
    for _ in range(3):
        list(store.stream())
    assert len(read) == 4 + 3 * (len(store) - 4)


def test_stream_passes_on_what_went_wrong(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path)
    store = store_for(scene, 0)
    store.views[2].image.unlink()
    with pytest.raises(DataError, match="does not exist"):
        list(store.stream())


def test_stream_can_be_left_early(scene: PreparedScene) -> None:
    before = threading.active_count()
    stream = store_for(scene, 0).stream()
    next(stream)
    stream.close()
    assert threading.active_count() == before
