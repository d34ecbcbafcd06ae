"""Fast reading and writing of uncompressed ``.npz`` files."""

import struct
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.core.files import atomic_path

_LOCAL_HEADER = 30  # bytes before the name; bytes 26 to 30 hold the lengths of name and extra field


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a file that ``numpy.savez`` wrote, each straight into its own memory.

    ``numpy.load`` copies twice and computes checksums, which is half of the time it takes to read a view.

    Raises:
        DataError: if it is missing, truncated, or not a plain archive of numeric arrays.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return {info.filename.removesuffix(".npy"): _read_member(file, info) for info in archive.infolist()}
    except (OSError, ValueError, EOFError, struct.error, zipfile.BadZipFile) as error:
        hint = "Run neuraltex prepare again with --overwrite"
        raise DataError(f"{path} cannot be read ({error})", hint=hint) from error


def _read_member(file: IO[bytes], info: zipfile.ZipInfo) -> np.ndarray:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed")
    file.seek(info.header_offset + _LOCAL_HEADER - 4)
    file.seek(sum(struct.unpack("<HH", file.read(4))), 1)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{info.filename} has format {version}")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran or dtype.hasobject:
        raise ValueError(f"{info.filename} is not a plain array")
    count = int(np.prod(shape))
    values = np.fromfile(file, dtype, count)
    if len(values) != count:
        raise EOFError(f"{info.filename} is truncated")
    return values.reshape(shape)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays atomically, byte by byte as ``numpy.savez`` does, which would copy them first."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            values = np.ascontiguousarray(array)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                header = np.lib.format.header_data_from_array_1_0(values)
                np.lib.format.write_array_header_1_0(member, header)
                member.write(values.reshape(-1).view(np.uint8).data)
    return path
