"""Thin plate splines: the smoothest map that takes given values at given points.

F. Bookstein, "Principal Warps: Thin-Plate Splines and the Decomposition of Deformations", IEEE TPAMI 1989.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def spline_matrix(controls: Float[Tensor, "K 2"], points: Float[Tensor, "P 2"]) -> Float[Tensor, "P K"]:
    """Return the matrix by which values at control points become values at other points.

    The spline is linear in its values, so one solve serves all warps with the same control points. Affine maps are
    reproduced exactly, and so are the values at the control points.

    Args:
        controls: At least three points, not on one line.
        points: Where to evaluate.
    """
    controls, points = controls.double(), points.double()
    count = len(controls)
    system = controls.new_zeros(count + 3, count + 3)
    system[:count, :count] = _bending(controls, controls)
    system[:count, count:] = _affine(controls)
    system[count:, :count] = _affine(controls).T
    basis = torch.cat([_bending(points, controls), _affine(points)], 1)
    return torch.linalg.solve(system, basis.T).T[:, :count]


def _bending(points: Float[Tensor, "P 2"], controls: Float[Tensor, "K 2"]) -> Float[Tensor, "P K"]:
    """Return r^2 log(r^2) of all distances r, which is 0 at r = 0."""
    square = (points[:, None] - controls).square().sum(-1)
    return torch.special.xlogy(square, square)


def _affine(points: Float[Tensor, "P 2"]) -> Float[Tensor, "P 3"]:
    return torch.cat([torch.ones_like(points[:, :1]), points], 1)
