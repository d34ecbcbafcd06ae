"""From a photograph, a posed mesh and a camera to a partial texture, completed by its mirror image."""

import numpy as np
from jaxtyping import Bool, Shaped

from neuraltex.config.partial import PartialConfig
from neuraltex.core.errors import DataError
from neuraltex.core.runtime import logger
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.symmetry import find_plane
from neuraltex.learn.gather import Gather, gather_from_view
from neuraltex.learn.partial import Partial
from neuraltex.texture.atlas import Atlas, canonical_positions, make_atlas
from neuraltex.texture.layout import Layout, layout_of
from neuraltex.texture.mirror import Observed, SymmetryMap, complete_by_mirror, symmetry_map

__all__ = ["Gather", "extract_partial", "find_symmetry", "gather_from_view", "make_partial"]


def extract_partial(
    image: Shaped[np.ndarray, "H W 3"],
    mesh: Mesh,
    camera: Camera,
    config: PartialConfig,
    matte: Bool[np.ndarray, "H W"] | None = None,
    symmetry: SymmetryMap | None = None,
    layout: Layout | None = None,
) -> Partial:
    """Extract what a photograph shows of a texture.

    Args:
        image: Photograph, 8 bit or in [0, 1].
        mesh: In the pose of the photograph, with uvs.
        camera: Of the photograph.
        config: Size and tolerances.
        matte: Pixels of the person or object.
        symmetry: Mirror images of the texels, from the rest mesh (:func:`find_symmetry`); searched for on the posed
            mesh if not given and wanted.
        layout: The uv layout expected of the mesh.

    Raises:
        DataError: if sizes differ, the mesh has no uvs or another layout, or the photograph shows nothing of it.
    """
    found = layout_of(mesh)
    if layout is not None:
        layout.require(found, "mesh")
    atlas = make_atlas(mesh, config.size)
    gather = gather_from_view(mesh, camera, atlas, config)
    seen = gather.read(image, matte)
    require_visible(gather, seen)
    if config.mirror:
        symmetry = symmetry or find_symmetry(mesh, config, atlas)
    return make_partial(complete(seen, symmetry, config), atlas, mesh, layout or found)


def find_symmetry(mesh: Mesh, config: PartialConfig, atlas: Atlas | None = None) -> SymmetryMap | None:
    """Return the mirror images of the texels of a rest mesh; ``None``, with a warning, if it is not symmetric.

    Raises:
        DataError: if the mesh has no uvs.
    """
    atlas = atlas or make_atlas(mesh, config.size)
    plane = find_plane(mesh, config.plane)
    if plane is None:
        logger.warning(
            "the mesh is not symmetric as it stands, so nothing is mirrored; give its rest pose (--rest-mesh) or the "
            "axis (--plane)"
        )
        return None
    return symmetry_map(mesh, atlas, plane)


def complete(seen: Observed, symmetry: SymmetryMap | None, config: PartialConfig) -> Observed:
    """Complete a texture by its mirror image as configured, if there is a symmetry."""
    if symmetry is None or not config.mirror:
        return seen
    return complete_by_mirror(seen, symmetry, config.mirror_confidence, match_gains=config.match_gains)


def require_visible(gather: Gather, seen: Observed) -> None:
    """Check that a photograph shows something of the texture.

    Raises:
        DataError: if it does not; says whether the camera looks past the mesh, or the matte covers it.
    """
    if seen.direct.any():
        return
    if not gather.in_front.any():
        raise DataError("the camera sees nothing of the mesh", hint="Check that camera and mesh share one world frame")
    if not len(gather.pixels):
        raise DataError(
            "the photograph shows no texel: the mesh is too small in it, or seen from inside",
            hint="Lower --margin, use a larger photograph, or turn the faces of the mesh around",
        )
    raise DataError("the matte leaves no texel of the mesh", hint="Lower --matte-erosion or make the matte again")


def make_partial(seen: Observed, atlas: Atlas, mesh: Mesh, layout: Layout) -> Partial:
    """Put what was observed together with the maps of the target mesh."""
    inside = atlas.inside
    positions = canonical_positions(atlas.positions(mesh), inside)
    maps = (inside, atlas.normals(mesh), positions, layout)
    return Partial(seen.color, seen.direct, seen.mirrored, seen.confidence, seen.source, *maps)
