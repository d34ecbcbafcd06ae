"""Checks of a scene before anything is computed from it."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.core.runtime import logger
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import images

SHOWN = 8
"""How many faults an error lists before it counts the rest."""


def validate_scene(scene: Scene, skip_bad: bool = False) -> Scene:
    """Check that every photograph can be used with its camera; photographs are decoded once, in threads.

    A camera refers to the pixels as stored in the file. Only if its size fits the photograph after the rotation its
    EXIF data asks for, and not before, is that rotation applied (see :func:`neuraltex.io.images.read_rgb`).

    Args:
        scene: What a reader returned.
        skip_bad: Leave out views that fail, each with a note, instead of refusing the scene.

    Raises:
        DataError: if a photograph or mask is missing, truncated or of another size than its camera; if two views share
            a name; or if no view is left. Lists the faults with their files.
    """
    if not scene.views:
        raise DataError(
            f"scene {scene.name} has no photograph with a pose", hint="Check --data, or reconstruct it again"
        )
    _refuse_duplicates(scene)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        faults = dict(zip([view.name for view in scene.views], pool.map(_fault, scene.views), strict=True))
    bad = [fault for fault in faults.values() if fault]
    if not bad:
        return scene
    if not skip_bad:
        raise DataError(
            f"{len(bad)} of {len(scene.views)} photographs of scene {scene.name} cannot be used:{_listing(bad)}",
            hint="Repair them, or pass --skip-bad-images to go on without them",
        )
    good = tuple(view for view in scene.views if not faults[view.name])
    if not good:
        raise DataError(
            f"none of the {len(bad)} photographs of scene {scene.name} can be used:{_listing(bad)}",
            hint="Check that --data names the folder with the photographs the cameras were computed for",
        )
    notes = [f"skipped {name}: {fault}" for name, fault in faults.items() if fault]
    for note in notes:
        logger.warning("%s", note)
    return scene.with_views(good, *notes)


def _refuse_duplicates(scene: Scene) -> None:
    """Names decide file names and the held-out set, so they must differ (also where case does not count)."""
    counts = Counter(view.name.casefold() for view in scene.views)
    double = [view for view in scene.views if counts[view.name.casefold()] > 1]
    if double:
        where = ", ".join(str(view.image) for view in double[:SHOWN])
        raise DataError(
            f"{len(double)} views of scene {scene.name} share a name with another one ({where})",
            hint="Give every photograph its own name, apart from upper and lower case",
        )


def _fault(view: View) -> str:
    """Return what is wrong with a view, or nothing."""
    camera = view.camera
    try:
        images.check_image(view.image, (camera.width, camera.height))
        if view.mask is not None:
            images.read_mask(view.mask, (camera.height, camera.width))
    except DataError as error:
        return error.what
    pose = camera.cam_from_world
    if not np.isclose(np.linalg.det(pose[:3, :3]), 1, atol=1e-2):
        return f"{view.image}: the camera's pose is not a rotation and a translation"
    return ""


def _listing(faults: list[str]) -> str:
    rest = [f"... and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return "".join(f"\n  {line}" for line in [*faults[:SHOWN], *rest]) + "\n"
