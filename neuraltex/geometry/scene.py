"""A reconstructed scene: photographs, cameras and (perhaps) a mesh. Holds paths, reads nothing."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh

Split = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class View:
    """One photograph and its camera.

    Args:
        name: Unique name, usually the file name without suffix; images sort by it.
        camera: Camera of the *color* image, at the size of the image file.
        image: Photograph.
        mask: Optional image of the same size; zero means 'do not use this pixel'.
        depth: Optional sensor depth image (16 bit), seen by ``depth_camera``.
        depth_camera: Camera of the depth image; ``None`` means the color camera.
        depth_scale: Units of the depth image per [world], e.g. 1000 for millimeters in a scene in meters.
    """

    name: str
    camera: Camera
    image: Path
    mask: Path | None = None
    depth: Path | None = None
    depth_camera: Camera | None = None
    depth_scale: float = 1000.0


@dataclass(frozen=True, eq=False)
class Scene:
    """What a reader returns.

    Args:
        name: Short name, usually the folder's.
        format: Name of the reader.
        views: Photographs, sorted by name.
        mesh_path: Mesh file that the format names or that was found beside it; ``None`` if there is none.
        mesh: The mesh itself where the format embeds it.
        notes: What the reader skipped or assumed, in words, with counts; shown to the user.
    """

    name: str
    format: str
    views: tuple[View, ...]
    mesh_path: Path | None = None
    mesh: Mesh | None = None
    notes: tuple[str, ...] = field(default=())

    def with_views(self, views: tuple[View, ...], *notes: str) -> "Scene":
        """Return the scene with other views and further notes."""
        return replace(self, views=views, notes=self.notes + notes)


def split_by_index(names: list[str], test_every: int) -> dict[str, Split]:
    """Hold out every ``test_every``-th name (sorted, starting with the first); 0 holds nothing out."""
    return {
        name: "test" if test_every > 0 and index % test_every == 0 else "train"
        for index, name in enumerate(sorted(names))
    }
