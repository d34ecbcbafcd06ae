"""``preprocessing/render_uvs.py`` takes the arguments of the original's uv_renderer and writes what its tools read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from synthetic import lumps, orbit

from neuraltex.core.conventions import flip_v
from neuraltex.io.images import read_exr
from neuraltex.io.meshes import write_mesh
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.uv_maps import render_maps

ROOT = Path(__file__).resolve().parents[2]


def test_seven_arguments(tmp_path: Path) -> None:
    mesh, cameras = lumps(6), orbit(3)
    write_mesh(tmp_path / "room_uv.off", mesh)
    (tmp_path / "camera").mkdir()
    for index, camera in enumerate(cameras):
        intrinsics = np.eye(4)
        intrinsics[:3, :3] = camera.K * [[1 + 0.1 * index], [1], [1]]  # every frame has its own
        np.savetxt(tmp_path / "camera" / f"{index}.txt", np.concatenate([camera.world_from_cam, intrinsics]))
    arguments = [tmp_path / "room_uv.off", tmp_path / "camera", tmp_path / "uvs", 160, 120, 320, 240]
    done = subprocess.run(
        [sys.executable, ROOT / "preprocessing/render_uvs.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "uvs")
    for index, camera in enumerate(cameras):
        from dataclasses import replace

        own = replace(camera, fx=camera.fx * (1 + 0.1 * index), cx=camera.cx * (1 + 0.1 * index)).scaled(320, 240)
        found = render_maps(make_rasterizer(mesh), mesh, own, 1).uv_map
        layers = read_exr(tmp_path / "uvs" / f"{index}.exr")
        assert layers.shape == (240, 320, 3)
        same = (layers[..., 2] > 0.5) == found.mask
        assert same.mean() > 0.999
        both = found.mask & (layers[..., 2] > 0.5)
        close = np.abs(layers[both][:, :2] - flip_v(found.uv)[both]).max(-1) < 1e-4
        assert close.mean() > 0.995
