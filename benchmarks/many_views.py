"""Prepared scenes with any number of photographs: the same ones under other names, linked, not copied."""

import os
from dataclasses import replace
from pathlib import Path

from neuraltex.io.prepared import PreparedScene, PreparedView, read_prepared, write_prepared

FILES = ("image", "uv", "confidence", "mask")


def repeat_views(scene: PreparedScene, count: int, folder: Path) -> PreparedScene:
    """Write a prepared scene with ``count`` training photographs, none held out.

    Photographs are repeated in turn, each repetition under a name of its own and as hard links; so each is read and
    decoded as a photograph of its own.

    Args:
        scene: Prepared scene; all its views are used.
        count: Number of photographs.
        folder: New folder to write.
    """
    folder.mkdir(parents=True)
    views = tuple(_link(scene.views[k % len(scene.views)], k // len(scene.views), folder) for k in range(count))
    write_prepared(PreparedScene(folder, scene.mesh, scene.texture_size, views, scene.info))
    return read_prepared(folder)


def _link(view: PreparedView, round_index: int, folder: Path) -> PreparedView:
    name, files = f"{view.name}-{round_index}", {}
    for kind in FILES:
        source: Path | None = getattr(view, kind)
        if source is None:
            continue
        target = folder / f"{kind}s" / f"{name}{source.suffix}"
        target.parent.mkdir(exist_ok=True)
        _hard_link(source.resolve(), target)
        files[kind] = target
    return replace(view, name=name, split="train", **files)


def _hard_link(source: Path, target: Path) -> None:
    """Link a file; across file systems, where that is impossible, symbolically."""
    try:
        os.link(source, target)
    except OSError:
        target.symlink_to(source)
