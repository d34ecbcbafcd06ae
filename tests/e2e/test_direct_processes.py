"""The preset ``fast`` under torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plane_scene import write_plane_scene

from neuraltex.fit.run import Run, read_run

ALONE = ("-m", "neuraltex")
TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "neuraltex")


def fit(scene: Path, run: Path, *launcher: str) -> Run:
    flags = ("optimize", "--data", str(scene), "--output-dir", str(run), "--preset", "fast", "--device", "cpu")
    done = subprocess.run(
        [sys.executable, *launcher, *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return read_run(run)


@pytest.mark.slow
def test_two_processes_find_the_texture_of_one(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path / "scene", num_views=12, gains=(1.0, 0.9, 1.1)).path
    one, two = fit(scene, tmp_path / "one", *ALONE), fit(scene, tmp_path / "two", *TOGETHER)
    np.testing.assert_allclose(two.texture, one.texture, atol=1e-5)
    assert np.array_equal(two.coverage, one.coverage)
    assert two.manifest["direct"]["iterations"] == one.manifest["direct"]["iterations"]
