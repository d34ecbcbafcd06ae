"""A textured mesh as one .glb file (glTF 2.0, section 4.4), written by hand: the PNG goes in as it is.

Convention:
    glTF has v pointing down; this is the only exporter that turns it. Positions are float32: a scene far from the
    origin is moved there, and back by its node, whose transform readers keep in double precision.
"""

import json
import struct
from typing import Any

import numpy as np
from jaxtyping import Float

from neuraltex.core.conventions import flip_v
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.polygons import split_seams

FAR_FROM_ORIGIN = 16.0
"""Distance to the origin, in mesh sizes, beyond which float32 would visibly round the shape away."""
FLOAT, UNSIGNED_INT = 5126, 5125
LINEAR, CLAMP = 9729, 33071
ARRAY_BUFFER, ELEMENT_BUFFER = 34962, 34963


def textured_glb(mesh: Mesh, normals: Float[np.ndarray, "V 3"], png: bytes, name: str) -> list[bytes]:
    """Return the content of a ``.glb`` file in parts, among them ``png`` itself: put together they are copied once.

    Photographs carry their own light, so the material is unlit (KHR_materials_unlit); the texture is sampled bilinearly
    without mip levels, clamped at its border.

    Args:
        mesh: Mesh with uvs; vertices on seams are repeated.
        normals: Unit normals of its vertices.
        png: Content of a PNG file.
        name: Of the mesh, its node and its material.
    """
    positions, uvs, faces, vertex = split_seams(mesh)
    shift = origin(positions)
    arrays = {
        "POSITION": (positions - shift).astype("<f4"),
        "NORMAL": normals[vertex].astype("<f4"),
        "TEXCOORD_0": flip_v(uvs).astype("<f4"),
        "indices": faces.astype("<u4").reshape(-1),
    }
    blobs = [*(array.tobytes() for array in arrays.values()), png]
    offsets = np.cumsum([0, *(len(blob) + -len(blob) % 4 for blob in blobs)]).tolist()
    views: list[dict[str, Any]] = [
        {"buffer": 0, "byteOffset": offset, "byteLength": len(blob)}
        for offset, blob in zip(offsets, blobs, strict=False)
    ]
    for view, key in zip(views, arrays, strict=False):
        view["target"] = ELEMENT_BUFFER if key == "indices" else ARRAY_BUFFER
    tree = {
        "asset": {"version": "2.0", "generator": "neuraltex"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0, **({"translation": shift.tolist()} if shift.any() else {})}],
        "meshes": [{"name": name, "primitives": [_primitive(arrays)]}],
        "materials": [_material(name)],
        "textures": [{"source": 0, "sampler": 0}],
        "images": [{"bufferView": 4, "mimeType": "image/png"}],
        "samplers": [{"magFilter": LINEAR, "minFilter": LINEAR, "wrapS": CLAMP, "wrapT": CLAMP}],
        "accessors": [_accessor(index, array) for index, array in enumerate(arrays.values())],
        "bufferViews": views,
        "buffers": [{"byteLength": offsets[-1]}],
    }
    return _container(tree, blobs)


def origin(positions: Float[np.ndarray, "V 3"]) -> Float[np.ndarray, " 3"]:
    """Where the origin of float32 positions is best put: zero unless the mesh is far away."""
    size = float(np.ptp(positions, axis=0).max(initial=0.0))
    far = bool(np.abs(positions).max(initial=0.0) > FAR_FROM_ORIGIN * size)
    return (positions.min(0) + positions.max(0)) / 2 if far else np.zeros(3)


def _primitive(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    attributes = {key: index for index, key in enumerate(arrays) if key != "indices"}
    return {"attributes": attributes, "indices": len(attributes), "material": 0}


def _material(name: str) -> dict[str, Any]:
    surface = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 1.0}
    return {
        "name": name,
        "pbrMetallicRoughness": surface,
        "doubleSided": True,
        "extensions": {"KHR_materials_unlit": {}},
    }


def _accessor(index: int, array: np.ndarray) -> dict[str, Any]:
    """Describe an array; glTF wants the range of positions, and ranges of the others do no harm."""
    kind = {1: "SCALAR", 2: "VEC2", 3: "VEC3"}[array.shape[1] if array.ndim == 2 else 1]
    low, high = (np.atleast_1d(limit).tolist() for limit in (array.min(0), array.max(0)))
    number = UNSIGNED_INT if array.dtype.kind == "u" else FLOAT
    return {
        "bufferView": index,
        "componentType": number,
        "count": len(array),
        "type": kind,
        "min": low,
        "max": high,
    }


def _container(tree: dict[str, Any], blobs: list[bytes]) -> list[bytes]:
    """Put the JSON and the binary chunk together; both are padded to multiples of four bytes."""
    text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    binary = [part for blob in blobs for part in (blob, b"\0" * (-len(blob) % 4))]
    size = sum(map(len, binary))
    header = struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + size)
    return [header, struct.pack("<I4s", len(text), b"JSON"), text, struct.pack("<I4s", size, b"BIN\0"), *binary]
