"""Zips as an attacker writes them: entries that swell, names that lead out of the folder, a directory that lies."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.fuzz.raw import evil_pickle, mutate_bytes
from benchmarks.fuzz.values import Rng

GIGABYTE = 2**30
ZEROS = 3 * GIGABYTE  # what a bomb unpacks to
LOCAL, CENTRAL, END = "<4s5H3I2H", "<4s6H3I5H2I", "<4s4H2IH"  # the records of a zip (APPNOTE 4.3)


class Swollen(NamedTuple):
    """Some bytes, and 3 GB of zeros behind them."""

    start: bytes


Entries = Mapping[str, "bytes | Swollen"]


def entries_of(data: bytes) -> dict[str, bytes | Swollen]:
    """What is in a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_of(entries: Entries, lie: Mapping[str, int] | None = None) -> bytes:
    """A zip whose lengths and checksums are right; swollen entries are deflated, others are stored.

    Args:
        lie: fields of the first entry's records that shall be otherwise: flags, method, crc, size.
    """
    lies = dict(lie or {})
    out, directory = io.BytesIO(), io.BytesIO()
    for name, content in entries.items():
        data, method, crc, size = _packed(content)
        method, crc, size = lies.pop("method", method), lies.pop("crc", crc), lies.pop("size", size)
        title, at = name.encode("utf-8", "replace"), out.tell()
        common = (lies.pop("flags", 0x800), method, 0, 0x21, crc, len(data), size, len(title), 0)
        out.write(struct.pack(LOCAL, b"PK\x03\x04", 20, *common) + title + data)
        directory.write(struct.pack(CENTRAL, b"PK\x01\x02", 20, 20, *common, 0, 0, 0, 0, at) + title)
    at, size = out.tell(), directory.tell()
    count = min(len(entries), 0xFFFF)
    return out.getvalue() + directory.getvalue() + struct.pack(END, b"PK\x05\x06", 0, 0, count, count, size, at, 0)


def _packed(content: bytes | Swollen) -> tuple[bytes, int, int, int]:
    """Data as the zip holds them, the method, the checksum and the size of what is unpacked."""
    if isinstance(content, bytes):
        return content, 0, zlib.crc32(content), len(content)
    packer = zlib.compressobj(wbits=-15)
    start = packer.compress(content.start) + packer.flush(zlib.Z_FULL_FLUSH)  # what follows can be any deflated data
    return start + deflated_zeros(), 8, _crc_with_zeros(zlib.crc32(content.start), ZEROS), len(content.start) + ZEROS


@functools.cache
def deflated_zeros() -> bytes:
    """ZEROS zeros, deflated: the same block again and again, and an empty last one."""
    packer = zlib.compressobj(wbits=-15)
    block = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * (ZEROS // 2**24) + zlib.compressobj(wbits=-15).flush()


def _crc_with_zeros(crc: int, count: int) -> int:
    """The CRC-32 of what has this one and ``count`` zeros behind it: a linear map of its bits, squared again and again.

    The way of zlib's ``crc32_combine``.
    """

    def applied(columns: list[int], bits: int) -> int:
        total = 0
        for i, column in enumerate(columns):
            total ^= column if bits >> i & 1 else 0
        return total

    bits = crc ^ 0xFFFFFFFF  # the register, which starts and ends inverted
    step = [0xEDB88320, *(1 << i for i in range(31))]  # the map of one zero bit
    count *= 8
    while count:
        if count & 1:
            bits = applied(step, bits)
        step = [applied(step, column) for column in step]
        count >>= 1
    return bits ^ 0xFFFFFFFF


def mutate_zip(rng: Rng, data: bytes) -> tuple[bytes, str]:
    """A zip with one change to its entries or its directory; checksums are right unless the change is to them."""
    entries = entries_of(data)
    names = list(entries)
    name = names[rng.integers(len(names))] if names else "x"
    content = entries.get(name, b"")
    assert isinstance(content, bytes)
    way = int(rng.integers(14))
    if way <= 1:
        entries.pop(name, None)
        return zip_of(entries), f"without {name}"
    if way == 2:
        others = ("../x", "/tmp/x", "x" * 300, "", "a/b", name.upper(), f"{name}/", "\N{SNOWMAN}", *names)
        other = others[rng.integers(len(others))]
        return zip_of(
            {(other if key == name else key): item for key, item in entries.items()}
        ), f"{name} is {other[:9]!r}"
    if way <= 4:
        entries[name], said = mutate_bytes(rng, content)
        return zip_of(entries), f"{name}: {said}"
    if way == 5:
        entries[name] = Swollen(content[: int(rng.integers(len(content) + 1))])
        return zip_of(entries), f"{name} swells to 3 GB"
    if way == 6:
        return zip_of({**entries, "more": Swollen(b"")}), "another entry of 3 GB"
    if way == 7:
        return zip_of(
            {name: Swollen(content), **entries}, {"size": len(content)}
        ), f"{name} swells, and says it does not"
    if way == 8:
        one, other = (names[i] for i in rng.integers(len(names), size=2)) if names else ("x", "x")
        entries[one], entries[other] = entries.get(other, b""), entries.get(one, b"")
        return zip_of(entries), f"{one} and {other} exchanged"
    if way == 9:
        entries[name] = evil_pickle()
        return zip_of(entries), f"{name} is a pickle that runs code"
    if way == 10:
        return zip_of({**entries, **{f"{i}": b"" for i in range(20_000)}}), "20,000 more entries"
    if way == 11:
        twice = zip_of({**entries, "\0" * len(name): b"twice"})
        return twice.replace(b"\0" * len(name), name.encode()) if name else twice, f"{name} is there twice"
    lies = ({"size": 2**31}, {"size": 1}, {"crc": 7}, {"method": 12}, {"method": 14}, {"method": 99}, {"flags": 1})
    lie = lies[rng.integers(len(lies))]
    return zip_of({name: content, **entries}, lie), f"{name} says {lie}"
