"""Pictures: PNG, JPEG and others, in depths and palettes that few programs write, cut off, too large or lying."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from benchmarks.fuzz.raw import mutate_bytes
from benchmarks.fuzz.values import Rng
from benchmarks.fuzz.zips import deflated_zeros

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
OTHERS = (  # not pictures, but what programs that read pictures may hand to others, or follow
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(/etc/passwd) run showpage\n",
    b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    b"push graphic-context\nviewbox 0 0 9 9\nfill 'url(https://127.0.0.1:1/x.png)'\npop graphic-context\n",
    b"P6\n1000000 1000000\n255\n",
    b"P5\n99999999999999999999 1\n65535\n",
    b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**30, -(2**30), 1, 32, 0, 0, 0, 0, 0, 0),
    b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0xF7, 0, 0) + bytes(768),
    b"II*\0" + struct.pack("<IH", 8, 65535),
    b"",
    b"\0" * 100,
)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, color: int, data: bytes, more: bytes = b"", interlaced: int = 0) -> bytes:
    """A PNG that says all this of itself; ``data`` are deflated already."""
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return SIGNATURE + chunk(b"IHDR", head) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def made_png(rng: Rng) -> tuple[bytes, str]:
    """A PNG whose checksums are right, of any depth, colour type and size, right or wrong inside."""
    depth, color = int(rng.choice([1, 2, 4, 8, 16, 16, 3])), int(rng.choice([0, 2, 3, 4, 6, 5]))
    sizes = (
        (160, 210),
        (36, 44),
        (1, 1),
        (210, 160),
        (9000, 9000),
        (13_000, 13_000),
        (30_000, 30_000),
        (0, 9),
        (2**31 - 1, 1),
    )
    width, height = sizes[rng.integers(len(sizes))] if rng.random() < 0.5 else (160, 210)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, 1)
    row = (width * channels * depth + 7) // 8 + 1
    if row * height < 10**7:
        pixels = np.frombuffer(rng.bytes(row * height), np.uint8).reshape(height, row).copy()
        pixels[:, 0] = 0 if rng.random() < 0.9 else rng.integers(0, 256)  # the filter of each line
        data = zlib.compress(pixels.tobytes())
    else:
        data = b"\x78\xda" + deflated_zeros()[:200_000]
    chunks = {
        "": b"",
        ", a palette": chunk(b"PLTE", rng.bytes(3 * 256)),
        ", a palette of one": chunk(b"PLTE", rng.bytes(3)),
        ", a palette of four bytes": chunk(b"PLTE", rng.bytes(4)),
        ", a palette and transparency": chunk(b"PLTE", rng.bytes(48)) + chunk(b"tRNS", rng.bytes(300)),
        ", a transparent colour": chunk(b"tRNS", rng.bytes(int(rng.choice([1, 2, 6])))),
        ", gamma of 0": chunk(b"gAMA", bytes(4)),
        ", a text that swells": chunk(b"zTXt", b"a\0\0" + b"\x78\xda" + deflated_zeros()[:400_000]),
        ", a profile that swells": chunk(b"iCCP", b"a\0\0" + b"\x78\xda" + deflated_zeros()[:400_000]),
        ", a text without an end": chunk(b"tEXt", b"a"),
        ", an unknown chunk that counts": chunk(b"ABCD", b"x"),
        ", an animation": chunk(b"acTL", struct.pack(">II", 2**31, 0)),
        ", a resolution of nothing": chunk(b"pHYs", bytes(9)),
        ", an orientation": chunk(b"eXIf", b"II*\0" + bytes(30)),
    }
    name = list(chunks)[rng.integers(len(chunks))]
    return png(width, height, depth, color, data, chunks[name], int(rng.random() < 0.1)), (
        f"a PNG of {width} x {height}, {depth} bit, colour type {color}{name}"
    )


def saved(rng: Rng, size: tuple[int, int]) -> tuple[bytes, str]:
    """A picture that Pillow wrote."""
    kind = FORMATS[rng.integers(len(FORMATS))]
    pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    mode = ("RGB", "L", "1", "P", "CMYK", "YCbCr", "I", "F", "I;16", "LA", "RGBA")[rng.integers(11)]
    picture = Image.fromarray(pixels)
    if mode in ("I", "F", "I;16"):
        picture = Image.fromarray(
            pixels[..., 0].astype({"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]) * 200
        )
    elif mode != "RGB":
        picture = picture.convert(mode)
    buffer = io.BytesIO()
    try:
        picture.save(buffer, kind)
    except (OSError, KeyError, ValueError):  # not each format has each mode
        kind, mode = "PNG", "RGB"
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue(), f"a {kind} of mode {mode}"


def picture(rng: Rng, size: tuple[int, int]) -> tuple[bytes, str, bool]:
    """A picture, what it is, and whether all around the fault in it is right.

    Args:
        size: H, W.
    """
    draw = rng.random()
    if draw < 0.45:
        return *made_png(rng), True
    data, said = saved(rng, size)
    if draw < 0.6:
        return data, said, True
    if draw < 0.65:
        other = OTHERS[rng.integers(len(OTHERS))]
        return other, f"no picture: {other[:20]!r}", True
    for _ in range(int(rng.integers(1, 4))):
        data, more = mutate_bytes(rng, data)
        said = f"{said}; {more}"
    return data, said, False
