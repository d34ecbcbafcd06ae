"""Laying pieces of a surface into the plane: projection first, then as rigidly as possible.

Source: Liu, Zhang, Xu, Gotsman and Gortler 2008, "A local/global approach to mesh parameterization" (ARAP): every
triangle names the rotation that takes it best to where it lies, then all vertices move to agree with the triangles'
true shapes. The second step is a linear system, taken some steps further by conjugate gradients in every round; all
charts are solved at once.
"""

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from neuraltex.core.compiled import kernel
from neuraltex.geometry.charts import Charts, assemble, flatten_each

ROUNDS = 5
GRADIENT_STEPS = 12
WEIGHTS = (0.02, 20.0)
"""Range that cotangents are clamped to: slivers must not rule, obtuse angles not push."""


def flatten_clusters(
    corners: Float[np.ndarray, "F 3 3"],
    proxy: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    label: Int[np.ndarray, " F"],
    *,
    rounds: int = ROUNDS,
) -> Charts:
    """Give every cluster of faces a chart of its own, close to the size and shape of the surface.

    Args:
        corners: The surface [world]; its triangles want to keep their shape.
        proxy: Smoother positions of the vertices, which are projected to start with.
        faces: Connectivity.
        label: Cluster of every face.
        rounds: Number of relaxations; 0 leaves the projection.
    """
    charts = project_clusters(proxy, faces, label)
    flat = flatten_each(corners).corners
    edges, weights, half = _edge_weights(flat, charts.uv_faces, len(charts.uvs))
    uvs = charts.uvs.copy()
    degree = np.bincount(edges.reshape(-1), np.repeat(weights, 2), len(uvs))
    for _ in range(rounds):
        wanted = _wanted_differences(uvs, charts.uv_faces, flat, half)
        _descend(uvs, edges, weights, degree, wanted, GRADIENT_STEPS)
    return Charts(uvs, charts.uv_faces, charts.label)


def project_clusters(
    vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"], label: Int[np.ndarray, " F"]
) -> Charts:
    """Project every cluster along its mean normal; only faces turned away from it by more than a right angle flip."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    normals = np.cross(b - a, c - a)
    total = np.stack([np.bincount(label, normals[:, k]) for k in range(3)], 1)
    mean = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)
    helper = np.where(np.abs(mean[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    x_axis = np.cross(helper, mean)
    x_axis = x_axis / np.maximum(np.linalg.norm(x_axis, axis=1, keepdims=True), 1e-300)
    y_axis = np.cross(mean, x_axis)
    charts = assemble(np.zeros((len(vertices), 2)), faces, label)
    source, plane = np.empty(len(charts.uvs), np.int64), charts.uv_label
    source[charts.uv_faces] = faces
    points = vertices[source]
    uvs = np.stack([(points * x_axis[plane]).sum(1), (points * y_axis[plane]).sum(1)], 1)
    return Charts(uvs, charts.uv_faces, charts.label)


def _edge_weights(flat: np.ndarray, uv_faces: np.ndarray, num_uvs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unique edges ``[E, 2]``, the sums of their cotangents, and the cotangents opposite of each corner ``[F, 3]``."""
    a, b = np.roll(flat, -1, axis=1) - flat, np.roll(flat, -2, axis=1) - flat
    cross = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    half = np.clip((a * b).sum(-1) / np.maximum(cross, 1e-300), *WEIGHTS)
    ends = np.sort(np.stack([np.roll(uv_faces, -1, axis=1), np.roll(uv_faces, -2, axis=1)], 2).reshape(-1, 2), axis=1)
    key, inverse = np.unique(ends[:, 0] * num_uvs + ends[:, 1], return_inverse=True)
    return np.stack([key // num_uvs, key % num_uvs], 1), np.bincount(inverse, half.reshape(-1)), half


@njit(cache=True, nogil=True)
def _wanted_differences(uvs: np.ndarray, uv_faces: np.ndarray, flat: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Right-hand side: weighted sums of the rotated edges of all triangles around every vertex ``[U, 2]``."""
    out = np.zeros_like(uvs)
    for face in range(len(uv_faces)):
        real, imaginary = 0.0, 0.0  # sum of (edge in the chart) * conjugate(edge of the triangle)
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            x, y = flat[face, j, 0] - flat[face, i, 0], flat[face, j, 1] - flat[face, i, 1]
            p, q = uv_faces[face, i], uv_faces[face, j]
            u, v = uvs[q, 0] - uvs[p, 0], uvs[q, 1] - uvs[p, 1]
            real += half[face, k] * (u * x + v * y)
            imaginary += half[face, k] * (v * x - u * y)
        length = np.sqrt(real * real + imaginary * imaginary)
        c, s = (real / length, imaginary / length) if length > 0 else (1.0, 0.0)
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            x, y = flat[face, j, 0] - flat[face, i, 0], flat[face, j, 1] - flat[face, i, 1]
            p, q = uv_faces[face, i], uv_faces[face, j]
            u, v = half[face, k] * (c * x - s * y), half[face, k] * (s * x + c * y)
            out[q, 0] += u
            out[q, 1] += v
            out[p, 0] -= u
            out[p, 1] -= v
    return out


def _descend(
    uvs: np.ndarray, edges: np.ndarray, weights: np.ndarray, degree: np.ndarray, wanted: np.ndarray, steps: int
) -> None:
    """Conjugate gradients on ``Laplacian @ uvs = wanted``, preconditioned by the diagonal; ``wanted`` is used up."""
    _iterate(uvs, edges, weights, degree, wanted, np.empty_like(uvs), np.empty_like(uvs), steps)


@kernel
def _iterate(uvs, edges, weights, degree, residual, direction, image, steps):  # type: ignore[no-untyped-def]
    """Do what :func:`_descend` says; ``residual`` is the right-hand side at first, the next two are for scratch."""
    _apply_laplacian(uvs, edges, weights, image)
    slope = 0.0
    for i in range(len(uvs)):
        for k in range(2):
            residual[i, k] -= image[i, k]
            direction[i, k] = residual[i, k] / degree[i]
            slope += residual[i, k] * direction[i, k]
    for _ in range(steps):
        _apply_laplacian(direction, edges, weights, image)
        bend = 0.0
        for i in range(len(uvs)):
            for k in range(2):
                bend += direction[i, k] * image[i, k]
        if bend <= 0.0 or slope <= 0.0:
            break
        step, following = slope / bend, 0.0
        for i in range(len(uvs)):
            for k in range(2):
                uvs[i, k] += step * direction[i, k]
                residual[i, k] -= step * image[i, k]
                image[i, k] = residual[i, k] / degree[i]
                following += residual[i, k] * image[i, k]
        keep = following / slope
        for i in range(len(uvs)):
            for k in range(2):
                direction[i, k] = image[i, k] + keep * direction[i, k]
        slope = following


@kernel
def _apply_laplacian(values, edges, weights, out):  # type: ignore[no-untyped-def]
    out[:] = 0.0
    for index in range(len(edges)):
        a, b = edges[index, 0], edges[index, 1]
        for k in range(2):
            difference = weights[index] * (values[a, k] - values[b, k])
            out[a, k] += difference
            out[b, k] -= difference
