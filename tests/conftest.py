"""Fixtures shared by all tiers."""

import logging
import os
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a CUDA device where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch  # not before it is known to be needed: it takes a second

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def _test_data() -> Path:
    return Path(os.environ.get("NEURALTEX_TEST_DATA") or ROOT.parent / "shared" / "data")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of the real scenes; the test is skipped where it is absent."""
    path = _test_data()
    if not path.is_dir():
        pytest.skip(f"real data not found at {path}; set NEURALTEX_TEST_DATA")
    return path


@pytest.fixture(scope="session")
def bench_dir(test_data: Path) -> Path:
    """Folder of the neutral evaluator, beside the data."""
    path = test_data.parent / "bench"
    if not path.is_dir():
        pytest.skip(f"neutral evaluator not found at {path}")
    return path


@pytest.fixture(scope="session")
def evaluator(bench_dir: Path) -> ModuleType:
    """The neutral evaluator as a module, loaded without leaving compiled files beside it."""
    spec = util.spec_from_file_location("eval_texture", bench_dir / "eval_texture.py")
    module = util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = writes
    return module


@pytest.fixture(scope="session")
def real_lpips(test_data: Path):
    """LPIPS with its published weights."""
    from neuraltex.io.weights import load_lpips_heads, load_vgg_weights
    from neuraltex.losses.lpips import Lpips

    vgg = load_vgg_weights(path=test_data / "weights" / "vgg16_features_torchvision.pth")
    return Lpips(vgg, load_lpips_heads(test_data / "weights" / "vgg16_lpips_lin_v0.1.pth"))


@pytest.fixture(autouse=True)
def _plain_logging() -> Iterator[None]:
    """Undo what a verb run within a test did to the logger, so that caplog sees later messages."""
    yield
    logger = logging.getLogger("neuraltex")
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)
