"""Cameras and texture in turns, from coarse to fine images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from neuraltex.config.schema import CalibrateConfig, ColorConfig, PixelConfig
from neuraltex.core.runtime import logger, progress
from neuraltex.fit.calibrate.cameras import Observation, refine_pose
from neuraltex.fit.calibrate.contours import move_onto_contours
from neuraltex.fit.calibrate.flow import grid_shape, refine_flow
from neuraltex.fit.calibrate.joint import refine_together
from neuraltex.fit.calibrate.parameters import SharedModel
from neuraltex.fit.calibrate.rounds import MAX_POINTS, Surface, cast_photo, leave_one_out, read_photo, reduced_camera
from neuraltex.fit.calibrate.shared import Sight, find_cells, refine_shared
from neuraltex.geometry.camera import Camera
from neuraltex.io.prepared import PreparedView

MIN_TEXTURE = 256
FLOW_POINTS = 100_000
"""Surface points per photograph that drive a warp, hundreds of numbers, or meet those of other photographs."""
JOINT_POINTS = 40_000
"""Surface points per photograph when all poses are solved for at once: enough that they meet those of the others."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What stays the same during refinement."""

    views: Sequence[PreparedView]
    surface: Surface
    texture_size: int
    config: CalibrateConfig
    pixels: PixelConfig
    color: ColorConfig


@dataclass(frozen=True, eq=False)
class Refined:
    """Refined cameras and a record.

    Args:
        cameras: One per view that was refined.
        others: Cameras of further photographs, which receive shared changes (rig, intrinsics) only.
        history: One plain dict per round; ``error`` is the mean robust error, the rest are factors of improvement.
    """

    cameras: list[Camera]
    others: list[Camera]
    history: list[dict[str, float]] = field(default_factory=list)


def refine_cameras(problem: Problem, others: Sequence[Camera] = ()) -> Refined:
    """Refine the cameras of photographs against each other over a surface; visibility is cast anew in every round."""
    cameras = [view.camera for view in problem.views]
    state, groups = Refined(cameras, list(others)), [_same_camera(camera) for camera in (*cameras, *others)]
    for index, reduce in enumerate(progress(_reductions(problem.config), label="cameras", unit="round")):
        state = _round(problem, state, groups, index, reduce)
        logger.info("cameras: %s", ", ".join(f"{name} {value:.4g}" for name, value in state.history[-1].items()))
    if problem.config.cameras and problem.config.contours:
        moved = move_onto_contours(problem.views, state.cameras, problem.surface, problem.config.contours)
        state = replace(state, cameras=moved)
    return state


def _reductions(config: CalibrateConfig) -> list[int]:
    """Coarse images while rig and intrinsics are sought, which all pixels of all photographs determine; then halves."""
    half = max(config.coarsest // 2, config.finest)
    shared = [config.coarsest if 2 * index < config.shared_rounds else half for index in range(config.shared_rounds)]
    start = half if shared else config.coarsest
    rest = [max(start >> index, config.finest) for index in range(config.rounds - config.shared_rounds)]
    return shared + rest


def _same_camera(camera: Camera) -> tuple:
    """Photographs with the same key were taken by the same camera."""
    return camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, camera.lens, camera.distortion


def _round(problem: Problem, state: Refined, groups: list[tuple], index: int, reduce: int) -> Refined:
    """Cast, take the texture of all others, and improve every camera once."""
    config = problem.config
    shares = (config.rig or config.intrinsics) and index < config.shared_rounds
    flows = bool(config.flow) and index >= config.rounds - config.flow_rounds
    together = config.cameras and index >= config.rounds - config.joint_rounds
    cameras = [reduced_camera(camera, reduce) for camera in state.cameras]
    num_points = FLOW_POINTS if flows or shares else JOINT_POINTS if together else MAX_POINTS
    observations, sights = observe(problem, cameras, reduce, num_points, seed=index)
    record: dict[str, float] = {"round": index, "reduce": reduce}
    if shares:
        state, record["shared"] = _shared_step(problem, state, sights, cameras, groups, reduce)
    elif config.cameras:
        cameras, record["poses"] = _pose_step(observations, sights, cameras, together)
        moved = [full.with_pose(new.cam_from_world) for full, new in zip(state.cameras, cameras, strict=True)]
        state = replace(state, cameras=moved)
    if flows:
        shapes = [grid_shape(camera, config.flow) for camera in state.cameras]
        found = [refine_flow(*item) for item in zip(observations, cameras, shapes, strict=True)]
        record["flow"] = _mean_gain(found)
        warped = [_with_warp(full, new, reduce) for full, (new, _) in zip(state.cameras, found, strict=True)]
        state = replace(state, cameras=warped)
    record["error"] = _error(observations, [reduced_camera(camera, reduce) for camera in state.cameras])
    return replace(state, history=[*state.history, record])


def _pose_step(
    observations: list[Observation], sights: list[Sight], cameras: list[Camera], together: bool
) -> tuple[list[Camera], float]:
    """Refine all (reduced) poses, at once or each against the texture of the others; returns the mean gain too."""
    if together:
        return refine_together(sights, cameras)
    found = [refine_pose(o.thinned(MAX_POINTS), camera) for o, camera in zip(observations, cameras, strict=True)]
    return [camera for camera, _ in found], _mean_gain(found)


def observe(
    problem: Problem, cameras: Sequence[Camera], reduce: int, num_points: int, seed: int
) -> tuple[list[Observation], list[Sight]]:
    """Read the photographs at a reduced size, find the surface behind them and what all others show there."""
    photos = [read_photo(view, reduce) for view in problem.views]
    casts = [
        cast_photo(problem.surface, camera, photo, problem.pixels, reduce, num_points, seed=seed * len(photos) + i)
        for i, (camera, photo) in enumerate(zip(cameras, photos, strict=True))
    ]
    size = max(MIN_TEXTURE, problem.texture_size // reduce)
    targets, matches = leave_one_out(casts, size, problem.color)
    observations = [Observation(*item) for item in zip(photos, casts, targets, strict=True)]
    cells = find_cells([cast.uv[cast.chosen] for cast in casts], size)
    return observations, [Sight(*item) for item in zip(photos, casts, matches, cells, strict=True)]


def _shared_step(
    problem: Problem, state: Refined, sights: list[Sight], cameras: list[Camera], groups: list[tuple], reduce: int
) -> tuple[Refined, float]:
    """Refine rig and intrinsics of every group of photographs taken by one camera."""
    model = SharedModel(problem.config.rig, problem.config.intrinsics)
    full, gains = [*state.cameras, *state.others], []
    for group in dict.fromkeys(groups[: len(cameras)]):
        members = [i for i, key in enumerate(groups) if key == group]
        seen = [i for i in members if i < len(cameras)]
        before = [cameras[i] for i in seen]
        after, gain = refine_shared([sights[i] for i in seen], before, model)
        gains.append(gain)
        for i in members:
            full[i] = _transfer(before[0], after[0], full[i], reduce)
    return replace(state, cameras=full[: len(cameras)], others=full[len(cameras) :]), float(np.mean(gains))


def _transfer(before: Camera, after: Camera, camera: Camera, reduce: int) -> Camera:
    """Apply to a camera the change from one reduced camera to another: intrinsics and the offset in camera axes."""
    offset = after.cam_from_world @ np.linalg.inv(before.cam_from_world)
    change = {name: reduce * (getattr(after, name) - getattr(before, name)) for name in ("fx", "fy", "cx", "cy")}
    numbers = {name: getattr(camera, name) + value for name, value in change.items()}
    moved = replace(camera, **numbers, lens=after.lens, distortion=after.distortion)
    return moved.with_pose(offset @ camera.cam_from_world)


def _with_warp(camera: Camera, reduced: Camera, reduce: int) -> Camera:
    assert reduced.warp is not None
    return replace(camera, warp=reduced.warp * reduce)


def _error(observations: Sequence[Observation], cameras: Sequence[Camera]) -> float:
    """Mean robust error per checked point, on a scale that does not depend on the round."""
    parts = [item.error(camera, 0.1) for item, camera in zip(observations, cameras, strict=True)]
    return sum(error for error, _ in parts) / max(sum(weight for _, weight in parts), 1e-12)


def _mean_gain(found: Sequence[tuple[Camera, float]]) -> float:
    return float(np.mean([gain for _, gain in found if np.isfinite(gain)] or [1.0]))
