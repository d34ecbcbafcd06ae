"""DensePose's division of the SMPL body into 24 parts, each laid flat in a square of its own.

Source: Güler et al. 2018, "DensePose: dense human pose estimation in the wild". Its file ``UV_Processed.mat`` is not
shipped; ``docs/iuv_maps.md`` says where it comes from.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.errors import DataError

NUM_PARTS = 24
"""Parts are numbered from 1; 0 is the background."""
_VARIABLES = ("All_Faces", "All_FaceIndices", "All_U_norm", "All_V_norm", "All_vertices")
_HINT = "Take UV_Processed.mat of DensePose's UV data as it was published"


@dataclass(frozen=True, eq=False)
class DensePoseParts:
    """Faces of the body and where they lie in the squares of the parts.

    Args:
        part: Part of every face, 1 to 24.
        part_uv: Corners of every face in the square of its part, in [0, 1].
        vertex_idx: Vertices of SMPL, from 0, at these corners.
    """

    part: Int[np.ndarray, " D"]
    part_uv: Float[np.ndarray, "D 3 2"]
    vertex_idx: Int[np.ndarray, "D 3"]


def read_densepose(path: Path) -> DensePoseParts:
    """Read ``UV_Processed.mat``, which counts everything from 1.

    Raises:
        DataError: if it is missing, truncated, of another version of the format, or not DensePose's.
    """
    values = _load(path)
    faces, part = np.asarray(values["All_Faces"], np.int64) - 1, np.asarray(values["All_FaceIndices"], np.int64).ravel()
    uv = np.stack([np.asarray(values[name], np.float64).ravel() for name in ("All_U_norm", "All_V_norm")], -1)
    vertices = np.asarray(values["All_vertices"], np.int64).ravel() - 1
    if faces.ndim != 2 or faces.shape[1] != 3 or len(part) != len(faces) or len(uv) != len(vertices):
        raise DataError(f"{path} has {len(faces)} faces for {len(part)} numbers of parts, and {len(uv)} uvs "
                        f"for {len(vertices)} vertices", hint=_HINT)  # fmt: skip
    if faces.min(initial=0) < 0 or faces.max(initial=-1) >= len(uv) or part.min() < 1 or part.max() > NUM_PARTS:
        raise DataError(f"{path} refers to vertices or parts that do not exist", hint=_HINT)
    return DensePoseParts(part, uv[faces], vertices[faces])


def _load(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat  # noqa: PLC0415
    from scipy.io.matlab import MatReadError  # noqa: PLC0415

    if not path.is_file():
        raise DataError(f"{path} does not exist", hint="See docs/iuv_maps.md for where it is from")
    try:
        values = loadmat(path, variable_names=_VARIABLES)
    except (OSError, ValueError, TypeError, NotImplementedError, zlib.error, MatReadError) as error:
        raise DataError(f"{path} cannot be read as a MATLAB file ({error})", hint=_HINT) from error
    missing = [name for name in _VARIABLES if name not in values]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}", hint=_HINT)
    return values
