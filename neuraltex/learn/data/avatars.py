"""Training samples from whole textures: photographs of bodies that wear them, from many sides, and what those show."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from neuraltex.config.avatars import AvatarConfig
from neuraltex.config.partial import PartialConfig
from neuraltex.core.errors import DataError
from neuraltex.core.files import write_json
from neuraltex.core.runtime import progress
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io.images import to_uint8
from neuraltex.io.meshes import read_mesh, write_mesh
from neuraltex.learn.data.files import PHOTO, sample_file, write_layout, write_sample, write_subject
from neuraltex.learn.data.orbit import orbit_camera
from neuraltex.learn.data.skins import as_bytes, fill_between_charts, read_skin, resize_texture, thumbnail
from neuraltex.learn.data.split import group_variants, split_groups
from neuraltex.learn.extract import complete, find_symmetry, make_partial
from neuraltex.learn.gather import Gather, gather_from_view
from neuraltex.learn.partial import Partial
from neuraltex.render.shade import TexturedRenderer
from neuraltex.texture.atlas import Atlas, make_atlas
from neuraltex.texture.fill import rasterize_charts
from neuraltex.texture.layout import Layout, layout_of
from neuraltex.texture.mirror import SymmetryMap

INDEX = "avatars.json"
"""What a folder of samples holds: settings, license, subjects and their split."""
BODIES = "bodies"
"""Folder with the bodies."""
THUMBNAIL = 64
"""Side of the textures in which variants are looked for [texel]."""

_TURN = {"+z": 0.0, "+x": 90.0, "-z": 180.0, "-x": -90.0}


@dataclass(frozen=True, eq=False)
class Avatars:
    """What is to be made.

    Args:
        config: Settings.
        textures: Image files by the name of the texture.
        bodies: Meshes over one uv layout by name.
        test: Textures to score on, by name; otherwise a share of them.
    """

    config: AvatarConfig
    textures: Mapping[str, Path]
    bodies: Mapping[str, Mesh]
    test: tuple[str, ...] = ()

    @cached_property
    def layout(self) -> Layout:
        """The uv layout of the first body."""
        return layout_of(next(iter(self.bodies.values())), next(iter(self.bodies)))

    @cached_property
    def subjects(self) -> dict[str, dict[str, str]]:
        """Texture and body of every subject."""
        bodies = list(self.bodies)
        if self.config.every_body:
            return {f"{name}__{body}": {"texture": name, "body": body} for name in self.textures for body in bodies}
        chosen = {name: bodies[_hash(f"{self.config.seed}:{name}") % len(bodies)] for name in self.textures}
        return {name: {"texture": name, "body": body} for name, body in chosen.items()}

    @cached_property
    def index(self) -> dict[str, Any]:
        """The contents of :data:`INDEX`: plain JSON values."""
        config = self.config
        inside = rasterize_charts(next(iter(self.bodies.values())), THUMBNAIL)
        small = {name: thumbnail(read_skin(path), inside) for name, path in self.textures.items()}
        groups = group_variants(small, config.duplicate_rms)
        split = split_groups(groups, config.test_share, config.val_share, self.test)
        return {
            "version": 1,
            "layout": self.layout.to_plain(),
            **settings(config),
            "bodies": list(self.bodies),
            "subjects": self.subjects,
            "variants": [list(group) for group in groups if len(group) > 1],
            "split": {subject: split[item["texture"]] for subject, item in self.subjects.items()},
        }


def settings(config: AvatarConfig) -> dict[str, Any]:
    """Return the settings as plain JSON values, without what a subclass adds."""
    values = {field.name: getattr(config, field.name) for field in fields(AvatarConfig)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def read_bodies(paths: tuple[Path, ...]) -> dict[str, Mesh]:
    """Read bodies and check that they share one uv layout.

    Raises:
        DataError: if one is missing or broken, has no uvs or another layout, or two have one name.
    """
    bodies: dict[str, Mesh] = {}
    for path in paths:
        if path.stem in bodies:
            raise DataError(f"two bodies are called {path.stem}", source="--bodies", hint="Rename one")
        bodies[path.stem] = read_mesh(path)
        layout_of(bodies[paths[0].stem], paths[0].stem).require(layout_of(bodies[path.stem], path.stem), str(path))
    return bodies


def write_avatars(folder: Path, avatars: Avatars) -> int:
    """Write all samples that are not there yet; returns how many were written.

    Args:
        folder: See :mod:`neuraltex.learn.data.files`.
        avatars: What to make.

    Raises:
        DataError: if a texture is broken, or a body cannot be photographed.
        OutputError: if the folder cannot be written.
    """
    write_json(folder / INDEX, avatars.index)
    for name, mesh in avatars.bodies.items():
        write_mesh(folder / BODIES / f"{name}.obj", mesh)
    studio = Studio(avatars)
    write_layout(folder, avatars.layout, studio.inside)
    written = 0
    for subject in progress(avatars.subjects, label="avatars", unit="subject"):
        written += studio.write_missing(folder, subject)
    return written


class Studio:
    """Photographs subjects; what depends on body and camera alone is computed once.

    Args:
        avatars: What is made.
    """

    def __init__(self, avatars: Avatars) -> None:
        config, self.avatars = avatars.config, avatars
        # Without lights both sides of a body have the same colors.
        self.config = PartialConfig(size=config.size, mirror=config.mirror, match_gains=False)
        self._views: dict[tuple[str, float], tuple[Camera, Gather]] = {}
        self._atlas = {name: make_atlas(mesh, config.size) for name, mesh in avatars.bodies.items()}
        self._symmetry = self._find_symmetry()

    @property
    def inside(self) -> np.ndarray:
        """Texels in charts."""
        return next(iter(self._atlas.values())).inside

    def write_missing(self, folder: Path, subject: str) -> int:
        """Write the samples of a subject that are not there yet; returns how many."""
        angles = self.avatars.config.angles()
        missing = [angle for angle in angles if not sample_file(folder, PHOTO, f"{angle:g}", subject).is_file()]
        if not missing:
            return 0
        item = self.avatars.subjects[subject]
        mesh, atlas = self.avatars.bodies[item["body"]], self._atlas[item["body"]]
        full = self._dress(item["texture"], mesh)
        truth = resize_texture(full, self.avatars.config.size)
        write_subject(folder, subject, as_bytes(truth, self.inside))
        renderer = TexturedRenderer(TexturedMesh(mesh, (to_uint8(full),), np.zeros(mesh.num_faces, np.int64)))
        done = next((f"{angle:g}" for angle in angles if angle not in missing), None)
        for angle in missing:
            partial, photo = self._observe(item["body"], angle, renderer, atlas)
            write_sample(folder, subject, f"{angle:g}", partial, photo, same_geometry=done)
            done = done or f"{angle:g}"
        return len(missing)

    def _dress(self, name: str, mesh: Mesh) -> np.ndarray:
        texture = read_skin(self.avatars.textures[name])
        return fill_between_charts(texture, rasterize_charts(mesh, texture.shape[:2]))

    def _observe(self, body: str, angle: float, renderer: TexturedRenderer, atlas: Atlas) -> tuple[Partial, np.ndarray]:
        mesh = self.avatars.bodies[body]
        camera, gather = self._view(body, angle)
        photo, coverage = renderer.render(camera)
        seen = complete(gather.read(photo, coverage > 0.5), self._symmetry, self.config)
        return make_partial(seen, atlas, mesh, self.avatars.layout), photo

    def _view(self, body: str, angle: float) -> tuple[Camera, Gather]:
        if (body, angle) not in self._views:
            config, mesh = self.avatars.config, self.avatars.bodies[body]
            turned = angle + _TURN[config.front]
            camera = orbit_camera(mesh, turned, config.photo_size, elevation=config.elevation)
            self._views[body, angle] = camera, gather_from_view(mesh, camera, self._atlas[body], self.config)
        return self._views[body, angle]

    def _find_symmetry(self) -> SymmetryMap | None:
        body, mesh = next(iter(self.avatars.bodies.items()))
        return find_symmetry(mesh, self.config, self._atlas[body]) if self.config.mirror else None


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
