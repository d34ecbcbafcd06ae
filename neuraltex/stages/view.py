"""``neuraltex view``: textures, cameras and errors of a scene in the browser."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from neuraltex.core.errors import UsageError
from neuraltex.core.runtime import logger
from neuraltex.stages.common import Common, Result


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Look at runs in the browser: textured mesh, cameras with their photographs, errors."""

    run: tuple[Path, ...]
    """Run folders (output of neuraltex optimize); several can be switched between."""
    data: Path | None = None
    """Prepared scene with the photographs; by default the one the first run was fitted to."""
    port: int = 8080
    """Port of the page; another free one is taken if it is in use."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in."""

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise UsageError(f"port {self.port} is not in [1, 65535]", source="--port")


def run(config: Config) -> Result:
    """Serve the page until interrupted (Ctrl-C).

    Raises:
        UsageError: if no run is given.
        DataError: if a run or the scene cannot be read.
        MissingDependency: if viser is not installed.
    """
    from neuraltex.fit.run import read_run
    from neuraltex.io.prepared import read_prepared
    from neuraltex.stages.view_page import ViewerPage

    if not config.run:
        raise UsageError("there is nothing to look at", source="neuraltex view", hint="Pass --run R")
    runs = [read_run(path) for path in config.run]
    scene = read_prepared(config.data or runs[0].scene_path)
    page = ViewerPage(runs, scene, host=config.host, port=config.port)
    logger.warning("look at %s (Ctrl-C ends)", page.url)
    try:
        wait_for_interrupt()
    except KeyboardInterrupt:
        logger.info("stopped")
    finally:
        page.stop()
    return Result(config.run[0], {"url": page.url})


def wait_for_interrupt() -> None:
    """Sleep until Ctrl-C; the page is served by a thread of its own."""
    threading.Event().wait()
