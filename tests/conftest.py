"""Fixtures shared by all tiers."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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
