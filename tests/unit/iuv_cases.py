"""A body of capsules with two atlases, and IUV maps of it, for tests that must run without SMPL and DensePose.

Twelve capsules stand for torso, head and limbs, mirror images of each other about x = 0. Each has one chart on the
texture; its part coordinates are those of another division of the same surface into DensePose's 24 parts, with the
symmetries that its flip table assumes.
"""

from dataclasses import dataclass

import numpy as np

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.learn.iuv_surface import Surface
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.shade import TexturedRenderer

AROUND, ALONG = 24, 16
LIMBS = {  # right side: parts (of the half turned to the front, to the back), ends, radius
    "hand": ((3, 3), (-0.95, 0.35, 0), (-0.8, 0.35, 0), 0.06),
    "foot": ((5, 5), (-0.14, -0.95, 0.12), (-0.14, -0.95, -0.06), 0.06),
    "upper leg": ((7, 9), (-0.14, -0.5, 0), (-0.12, -0.1, 0), 0.1),
    "lower leg": ((11, 13), (-0.14, -0.9, 0), (-0.14, -0.52, 0), 0.08),
    "upper arm": ((15, 17), (-0.5, 0.35, 0), (-0.22, 0.38, 0), 0.08),
    "lower arm": ((19, 21), (-0.78, 0.35, 0), (-0.52, 0.35, 0), 0.07),
}


@dataclass(frozen=True, eq=False)
class Body:
    """A body: its mesh with the uvs of the texture, and its surface with both sets of coordinates."""

    mesh: Mesh
    surface: Surface


def capsule_body() -> Body:
    """Return the body; 12 charts on a grid of 4 x 3 cells."""
    pieces = [_torso(0), _head(1)]
    for index, (parts, low, high, radius) in enumerate(LIMBS.values()):
        right = _limb(2 * index + 2, parts, low, high, radius)
        pieces += [right, _mirrored(right, 2 * index + 3)]
    return _assemble(pieces)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(np.linspace(0, 1, AROUND + 1), np.linspace(0, 1, ALONG + 1), indexing="xy")


def _points(low, high, radius) -> np.ndarray:
    """A capsule-like grid [ALONG + 1, AROUND + 1, 3]; turns start at the side and run over the front."""
    turn, along = _grid()
    low, high = np.asarray(low, float), np.asarray(high, float)
    axis = (high - low) / np.linalg.norm(high - low)
    side = np.array([0, 1.0, 0]) if abs(axis[0]) > 0.5 else np.array([1.0, 0, 0])
    front = np.cross(side, axis)
    width = np.asarray(radius) * (1 - np.abs(2 * along - 1) ** 4)[..., None] ** 0.5
    angle = 2 * np.pi * turn[..., None]
    return low + along[..., None] * (high - low) + width * (np.cos(angle) * side + np.sin(angle) * front)


def _cell(index: int, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Texture coordinates in one cell of the layout."""
    return np.stack([(index % 4 + 0.92 - 0.84 * s) / 4, (index // 4 + 0.08 + 0.84 * t) / 4], -1)


def _limb(index, parts, low, high, radius):
    turn, along = _grid()
    if parts[0] == parts[1]:
        parts_uv = [np.stack([0.1 + 0.8 * turn, 0.05 + 0.55 * along], -1)] * 2
    else:  # v grows around the half, u along the limb
        parts_uv = [np.stack([0.05 + 0.9 * along, 0.1 + 0.6 * (2 * turn - half)], -1) for half in (0, 1)]
    return _points(low, high, radius), _cell(index, turn, along), parts, parts_uv


def _torso(index):
    turn, along = _grid()
    parts_uv = [np.stack([0.05 + 0.7 * along, 0.1 + 0.8 * (2 * turn - half)], -1) for half in (0, 1)]
    return _points((0, -0.12, 0), (0, 0.5, 0), 0.22), _cell(index, turn, along), (2, 1), parts_uv


def _head(index):
    """The cut is in the middle of the back, the border of the parts in the middle of the face."""
    turn, along = _grid()
    points = _points((0, 0.52, 0), (0, 0.85, 0), 0.12)
    order = (np.arange(AROUND + 1) - AROUND // 4) % AROUND  # start at the back, -z, and run over -x
    half = [np.stack([0.1 + 0.8 * (2 * turn - side), 0.05 + 0.6 * along], -1) for side in (0, 1)]
    return points[:, order], _cell(index, turn, along), (23, 24), half


def _mirrored(piece, index):
    """The left twin: partners of the parts; hands count u backwards."""
    points, _, parts, parts_uv = piece
    turn, along = _grid()
    if parts[0] == 3:
        parts_uv = [np.stack([1 - uv[..., 0], uv[..., 1]], -1) for uv in parts_uv]
    return points * (-1, 1, 1), _cell(index, 1 - turn, along), tuple(part + 1 for part in parts), parts_uv


def _assemble(pieces) -> Body:
    vertices, uvs, faces, part, part_uv = [], [], [], [], []
    corner = np.arange((ALONG + 1) * (AROUND + 1)).reshape(ALONG + 1, AROUND + 1)
    a, b, c, d = (grid.ravel() for grid in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]))
    half = (np.arange(ALONG * AROUND) % AROUND) >= AROUND // 2
    for points, texture, parts, parts_uv in pieces:
        for triangle in (np.stack([a, b, c], 1), np.stack([a, c, d], 1)):
            turned = _outward(points.reshape(-1, 3), triangle)
            faces.append(turned + sum(map(len, vertices)))
            part.append(np.where(half, parts[1], parts[0]))
            both = [uv.reshape(-1, 2)[turned] for uv in parts_uv]
            part_uv.append(np.where(half[:, None, None], both[1], both[0]))
        vertices.append(points.reshape(-1, 3))
        uvs.append(texture.reshape(-1, 2))
    faces = np.concatenate(faces)
    mesh = Mesh(np.concatenate(vertices), faces, np.concatenate(uvs), faces)
    return Body(mesh, Surface(np.concatenate(part), np.concatenate(part_uv), mesh.corner_uvs))


def _outward(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corners = points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = ((corners.mean(1) - points.mean(0)) * normal).sum() < 0
    return faces[:, ::-1] if inward else faces


def front_camera(size: int, turn: float = 0.0, reach: float = 1.1) -> Camera:
    """A camera about 6 units in front of a body of +-``reach``, turned about it [rad]."""
    cos, sin = np.cos(turn), np.sin(turn)
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1, -1]) @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    pose[2, 3] = 6
    return Camera(size, size, size * 3 / reach, size * 3 / reach, size / 2, size / 2, pose)


def render_iuv(mesh: Mesh, surface: Surface, camera: Camera) -> np.ndarray:
    """Return what DensePose would write, channels (I, U, V), had it no errors; ``surface`` has the mesh's faces."""
    fragments = make_rasterizer(mesh).render(camera)
    face, bary, seen = fragments.face_idx.numpy(), fragments.bary.numpy(), fragments.mask.numpy()
    uv = np.einsum("pk,pkc->pc", bary[seen], surface.part_uv[face[seen]])
    iuv = np.zeros((*seen.shape, 3), np.uint8)
    iuv[seen, 0] = surface.part[face[seen]]
    iuv[seen, 1:] = np.clip(uv * 255, 0, 255).astype(np.uint8)
    return iuv


def render_photo(mesh: Mesh, texture: np.ndarray, camera: Camera) -> np.ndarray:
    """Return a photograph, 8 bit, of the body wearing an 8 bit texture."""
    image, _ = TexturedRenderer(TexturedMesh(mesh, (texture,))).render(camera)
    return np.round(image * 255).astype(np.uint8)


def save_mat(path, body: Body, swap: bool = False) -> None:
    """Write the surface as DensePose's file: everything counted from 1, one vertex per corner of a face."""
    from scipy.io import savemat

    uv = body.surface.part_uv.reshape(-1, 2)[:, :: -1 if swap else 1]
    corners = np.arange(1, 3 * body.mesh.num_faces + 1).reshape(-1, 3)
    values = {"All_Faces": corners, "All_FaceIndices": body.surface.part[:, None]}
    values |= {"All_U_norm": uv[:, :1], "All_V_norm": uv[:, 1:], "All_vertices": body.mesh.faces.reshape(1, -1) + 1}
    savemat(path, values)


def cut_smpl(mesh: Mesh) -> Body:
    """Return SMPL in T-pose, cut into 24 parts in the manner of DensePose; each is its piece of the texture, upright
    or, every second one, lying. The mesh is not symmetric, so that mirror images would mean nothing.
    """
    part = _smpl_parts(mesh)
    part_uv = np.zeros((mesh.num_faces, 3, 2))
    for number in np.unique(part):
        corners = mesh.corner_uvs[part == number][..., :: 1 - 2 * (number % 2)]
        low, high = corners.min((0, 1)), corners.max((0, 1))
        part_uv[part == number] = 0.05 + 0.9 * (corners - low) / (high - low)
    return Body(mesh, Surface(part, part_uv, mesh.corner_uvs))


def _smpl_parts(mesh: Mesh) -> np.ndarray:
    """Part of every face, from its chart on the texture and its place on the body; right ones (x < 0) are odd."""
    from neuraltex.geometry.charts import chart_components

    chart, center = chart_components(mesh.uv_faces, len(mesh.uvs)), mesh.corners.mean(1)
    part = np.zeros(mesh.num_faces, np.int64)
    for number in range(chart.max() + 1):
        own = chart == number
        x, y, z = center[own].T
        reach, left = np.abs(x).max(), (x > 0).astype(int)
        front, low, far = (2 * (axis < np.median(axis)) for axis in (z, y, np.abs(x)))
        if own.sum() == np.bincount(chart).max():
            part[own] = np.where(front > 0, 1, 2)
        elif reach < 0.2 and y.min() > 0.4:
            part[own] = 23 + left
        elif reach > 0.75:
            part[own] = 3 + left
        elif y.max() < -0.7:
            part[own] = 5 + left
        else:
            part[own] = (7 + 2 * low if y.max() < 0.1 else 19 - 2 * far) + front + left
    return part
