"""How long unwrapping takes and how good it is, against whole-mesh xatlas; writes results/unwrap.json.

Run: python benchmarks/unwrap.py [--whole-timeout 300] [--only castle kitchen crop large whole]
Parts that are not run keep the figures of the last run.
"""

import argparse
import multiprocessing
import resource
import time
from typing import Any

import numpy as np
from machine import RESULTS, data_dir, describe_machine, write_result

from neuraltex.core.files import read_json
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.topology import face_adjacency, weld
from neuraltex.geometry.unwrap import Method, unwrap
from neuraltex.geometry.uv_check import check_uv
from neuraltex.io.meshes import read_mesh

PARTS = ("castle", "kitchen", "crop", "large", "whole")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whole-timeout", type=float, default=300.0, help="limit for xatlas on the whole castle [s]")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    castle = read_mesh(data_dir() / "castle" / "scene_mesh_refine.ply")
    unwrap(castle.select_faces(np.arange(3000)), texture_size=256)  # compiles
    for part in arguments.only:
        results: dict[str, Any] = {}
        match part:
            case "castle":
                results[part], results["castle_xatlas_blocks"] = ours(castle), ours(castle, "xatlas")
            case "kitchen":
                kitchen = read_mesh(data_dir() / "kitchen" / "mesh_120k.ply")
                results[part], results["kitchen_xatlas_blocks"] = ours(kitchen), ours(kitchen, "xatlas")
            case "crop":
                crop = castle.select_faces(grow_region(castle, 40_000))
                results["crop_40k"], results["crop_40k_whole_xatlas"] = ours(crop), whole(crop, 600.0)
            case "large":
                results["large_1m"] = ours(displaced_terrain(708))
            case "whole":
                results["castle_whole_xatlas"] = whole(castle, arguments.whole_timeout)
        print(results)
        old = RESULTS / "unwrap.json"
        cases = read_json(old)["cases"] if old.exists() else {}
        write_result("unwrap", {"cases": {**cases, **results}})


def ours(mesh: Mesh, method: Method = "fast") -> dict[str, Any]:
    """Unwrap; processor time tells more than the clock where the machine is busy."""
    before = cpu_seconds()
    result, report = unwrap(mesh, method=method)
    cpu = cpu_seconds() - before
    faults = check_uv(result)
    return {
        **report.to_dict(),
        "cpu_seconds": round(cpu, 1),
        "clean": faults.clean,
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "load_average": describe_machine()["load_average"][0],
    }


def whole(mesh: Mesh, timeout: float) -> dict[str, Any]:
    """Run xatlas on the whole mesh in a child that is ended at the limit; says ``timeout`` then."""
    load, start, before = describe_machine()["load_average"][0], time.perf_counter(), cpu_seconds()
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(
        target=whole_mesh_xatlas, args=(mesh.vertices, mesh.faces, there)
    )
    child.start()
    finished = here.poll(timeout)
    answer = here.recv() if finished else {}
    if not finished:
        child.kill()
    child.join()
    return {
        "num_faces": mesh.num_faces,
        "outcome": "finished" if finished else "timeout",
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(cpu_seconds() - before, 1),
        **answer,
        "load_average": load,
    }


def whole_mesh_xatlas(vertices: np.ndarray, faces: np.ndarray, answer: Any) -> None:
    import xatlas

    used, inverse = np.unique(faces, return_inverse=True)
    atlas = xatlas.Atlas()
    atlas.add_mesh(vertices[used].astype(np.float32), inverse.reshape(-1, 3).astype(np.uint32))
    options = xatlas.PackOptions()
    options.resolution, options.padding = 2048, 4
    atlas.generate(pack_options=options)
    answer.send({"charts": atlas.chart_count, "utilization": round(float(atlas.utilization), 4)})


def grow_region(mesh: Mesh, count: int) -> np.ndarray:
    """Faces nearest along the surface (in steps) to the first one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order

    pairs = face_adjacency(weld(mesh.vertices, mesh.faces))
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(mesh.num_faces, mesh.num_faces))
    return breadth_first_order(graph, mesh.num_faces // 2, directed=False, return_predecessors=False)[:count]


def displaced_terrain(side: int) -> Mesh:
    """A rough, curved, noisy height field of 2 side^2 faces with a round hole every so often."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(0, 12, side + 1), np.linspace(0, 12, side + 1))
    height = sum(
        np.sin(k * x + rng.uniform(0, 6)) * np.cos(k * y + rng.uniform(0, 6)) / k for k in (0.7, 1.5, 3.1, 6.3)
    )
    height = height + rng.normal(0, 0.15 * 12 / side, x.shape)
    vertices = np.stack([x, y, height], -1).reshape(-1, 3)
    a = (np.arange(side)[:, None] * (side + 1) + np.arange(side)).reshape(-1)
    b, c, d = a + 1, a + side + 2, a + side + 1
    faces = np.stack([a, b, c, a, c, d], 1).reshape(-1, 3)
    center = vertices[faces].mean(1)
    hole = np.hypot(center[:, 0] % 3 - 1.5, center[:, 1] % 3 - 1.5) < 0.05
    return Mesh(vertices, faces[~hole])


def cpu_seconds() -> float:
    """Processor time of this process and its ended children [s]."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


if __name__ == "__main__":
    main()
