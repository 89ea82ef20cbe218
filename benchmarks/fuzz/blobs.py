"""Binary files with something wrong in them, and all around it right: lengths, checksums and hashes are made anew."""

from __future__ import annotations

import io
import json
import struct
import zlib

import numpy as np

from benchmarks.fuzz.raw import Evil
from benchmarks.fuzz.trees import brief, mutate_tree
from benchmarks.fuzz.values import Rng, value
from benchmarks.fuzz.zips import entries_of, mutate_zip, zip_of

SIZES = (2**31, 2**33, 10**12, 2**62, 2**63 - 1)  # of bytes or elements that no file here has


def npy_of(array: np.ndarray) -> bytes:
    """An array as a .npy file; objects are pickled."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_claiming(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """A .npy whose header is this text, with the right length."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def mutate_array(rng: Rng, array: np.ndarray) -> tuple[bytes, str]:
    """A .npy of an array with one change to type, shape or values, or a header that claims another one."""
    way = int(rng.integers(9))
    if way == 0:
        kinds = (
            np.float64,
            np.float16,
            np.int8,
            np.uint64,
            np.bool_,
            "U5",
            "S3",
            complex,
            "M8[s]",
            "V4",
            ">i4",
            object,
        )
        kind = kinds[rng.integers(len(kinds))]
        try:
            return npy_of(array.astype(kind)), f"of type {np.dtype(kind)}"
        except (TypeError, ValueError):
            return npy_of(np.zeros(array.shape, np.float64)), "of zeros"
    if way == 1:
        shapes = (
            (),
            (0,),
            (1,),
            (array.size,),
            (*array.shape, 1),
            array.shape[::-1],
            (1, *array.shape),
            (array.size + 1,),
        )
        shape = shapes[rng.integers(len(shapes))]
        return npy_of(np.resize(array, shape)), f"of shape {shape}"
    if way == 2 and array.size and array.dtype.kind in "fiu":
        bad = np.array(array)
        limits = (
            (np.nan, np.inf, -1.0)
            if array.dtype.kind == "f"
            else (np.iinfo(array.dtype).max, np.iinfo(array.dtype).min, 0)
        )
        number = limits[rng.integers(len(limits))]
        bad.reshape(-1)[int(rng.integers(array.size)) if rng.random() < 0.5 else slice(None)] = number
        return npy_of(bad), f"with {number} in it"
    if way == 3:
        return npy_of(np.array([Evil()], object)), "of objects whose pickle runs code"
    if way <= 5:
        return claiming(rng, way == 4)
    if way == 6:
        return npy_of(array)[: int(rng.integers(len(npy_of(array)) + 1))], "cut off"
    if way == 7:
        return npy_of(np.asfortranarray(array)), "in Fortran's order"
    shuffled = np.array(array).reshape(-1)
    rng.shuffle(shuffled)
    return npy_of(shuffled.reshape(array.shape)), "with its values shuffled"


def claiming(rng: Rng, large: bool) -> tuple[bytes, str]:
    """A .npy whose header claims more than is there, or is none."""
    if large:
        shape, kind = (int(SIZES[rng.integers(len(SIZES))]),), ("|u1", "<f8", "<U99999999")[rng.integers(3)]
        return npy_claiming(repr({"descr": kind, "fortran_order": False, "shape": shape})), f"claims {shape} of {kind}"
    odd = (
        "{'descr': __import__('canary_payload'), 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,) * 99}",
        "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|u1', 'shape': (1,)}",
        "(" * 300,
        "[" * 9000,
        "x" * 60_000,
        "{'descr': '|u1', 'fortran_order': 3, 'shape': (1.5,)}",
    )
    header = odd[rng.integers(len(odd))]
    return npy_claiming(header, bytes(8), int(rng.choice([1, 2, 3, 9]))), f"with the header {brief(header)}"


def mutate_npz(rng: Rng, data: bytes) -> tuple[bytes, str]:
    """An .npz with one change: to an array, to the zip around it, or a .npy in its place."""
    draw = rng.random()
    if draw < 0.25:
        return mutate_zip(rng, data)
    entries = entries_of(data)
    name = list(entries)[rng.integers(len(entries))]
    content = entries[name]
    assert isinstance(content, bytes)
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if draw < 0.3:
        return npy_of(array), f"a .npy of {name} in place of the .npz"
    entries[name], said = mutate_array(rng, array)
    return zip_of(entries), f"{name[:-4]} {said}"


def safetensors_of(header: bytes, data: bytes) -> bytes:
    """A safetensors file: the length of the header is right."""
    return struct.pack("<Q", len(header)) + header + data


def mutate_safetensors(rng: Rng, blob: bytes) -> tuple[bytes, str]:
    """A safetensors file with one change to a tensor's values, its entry in the header, or the header's text."""
    (length,) = struct.unpack("<Q", blob[:8])
    header, data = json.loads(blob[8 : 8 + length]), bytearray(blob[8 + length :])
    names = [name for name in header if name != "__metadata__"]
    name = names[rng.integers(len(names))]
    start, end = header[name]["data_offsets"]
    way = int(rng.integers(8))
    if way <= 1 and end - start >= 4 and header[name]["dtype"] == "F32":
        values = np.frombuffer(bytes(data[start:end]), np.float32).copy()
        number = (np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0, 1e-40, 1000.0, -1000.0)[rng.integers(9)]
        values[int(rng.integers(len(values))) if way else slice(None)] = number
        data[start:end] = values.tobytes()
        said = f"{name} with {'one' if way else 'all'} {number}"
    elif way == 2:
        header[name]["dtype"] = ("F64", "F16", "BF16", "I64", "I32", "U8", "BOOL", "F8_E4M3", "C64", "X9", 3)[
            rng.integers(11)
        ]
        said = f"{name} of type {header[name]['dtype']}"
    elif way == 3:
        kind, size = (("I32", 4), ("F16", 2), ("F64", 8), ("BF16", 2), ("U8", 1))[
            rng.integers(5)
        ]  # what fits its bytes
        header[name] |= {"dtype": kind, "shape": [(end - start) // size]}
        said = f"{name} as {kind} in one row"
    elif way == 4:
        header[name]["shape"] = value(rng, header[name]["shape"], raws=False)
        said = f"{name} of shape {brief(header[name]['shape'])}"
    elif way == 5:
        header[name]["data_offsets"] = [[0, SIZES[2]], [end, start], [-1, 4], [0, 0], [start + 1, end + 1]][
            rng.integers(5)
        ]
        said = f"{name} at {header[name]['data_offsets']}"
    elif way == 6:
        new = ("", "x", "space.x", "__metadata__", "classifier.coef", "classifier.Pong.coef", name + ".x")[
            rng.integers(7)
        ]
        header[new] = header.pop(name)
        said = f"{name} is called {new!r}"
    else:
        header, said = mutate_tree(rng, header, lambda r, there: value(r, there, raws=False))
    text = json.dumps(header, default=str).encode()
    if rng.random() < 0.05:
        odd = (b"[" * 200_000, text[:-1], text + b" " * 1000, b"", b"{}", b"null", b"\xff" + text, b"9" * 5000)
        text, said = odd[rng.integers(len(odd))], "another header"
    if rng.random() < 0.03:
        size = SIZES[rng.integers(len(SIZES))]
        return struct.pack("<Q", size) + text + bytes(data), f"a header of {size} bytes"
    return safetensors_of(text, bytes(data)), said


def crc_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
