"""Damaged images: small files of every format, mutated at random, none of which may do more than raise ImageError.

    python -m drill.images [COUNT]
"""

from __future__ import annotations

import io
import random
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tenfold.data.images import FORMATS, read_image
from tenfold.errors import ImageError

SHAPES = (None, (8, 8, 1), (16, 12, 3))
EXTREMES = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80",
            b"\x00\x00\xff\xff", b"\x00\x01\x00\x00", b"\x00\x00\x01\x00")


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    counts: Counter[str] = Counter()
    for outcome in outcomes(count):
        counts[outcome if outcome in ("read", "refused") else "escaped"] += 1
        if outcome not in ("read", "refused"):
            print(outcome)
    print(f"{count:,} damaged images: {counts['read']:,} read, {counts['refused']:,} refused in one line, "
          f"{counts['escaped']:,} escaped")
    return 1 if counts["escaped"] else 0


def outcomes(count: int, seed: int = 0) -> Iterator[str]:
    """What came of each of `count` damaged images: "read", "refused" (ImageError, one line), else what went wrong."""
    draw, whole = random.Random(seed), list(originals().items())
    for number in range(count):
        name, content = whole[number % len(whole)]
        damaged, shape = damage(content, draw), draw.choice(SHAPES)
        try:
            pixels = read_image(damaged, shape)
        except ImageError as error:
            yield "refused" if "\n" not in str(error) else f"{number} {name}: {error!r}"
        except Exception as error:
            yield f"{number} {name}: {error!r}"
        else:
            right = pixels.dtype == np.uint8 and (pixels.shape == shape if shape else pixels.shape[2] in (1, 3))
            yield "read" if right else f"{number} {name}: {pixels.dtype} {pixels.shape}"


def damage(content: bytes, draw: random.Random) -> bytes:
    """The bytes with one to six changes: bits flipped, numbers made extreme, parts cut, doubled or moved."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 6)):
        # Half the changes go into the first 200 bytes, where the headers are.
        at = draw.randrange(max(1, min(len(data), 200) if draw.random() < 0.5 else len(data)))
        length, kind = draw.randint(1, 40), draw.randrange(6)
        if kind == 0 and data:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[at : at + 1] = draw.randbytes(1)
        elif kind == 2:
            data[at : at + 4] = draw.choice(EXTREMES)
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = data[at : at + length]
        elif draw.random() < 0.3:
            del data[at:]
    return bytes(data)


def originals() -> dict[str, bytes]:
    """Small images of every format that is read, and of the kinds that Pillow decodes in ways of their own."""
    colours = np.add.outer(np.arange(20) * 5, np.arange(24) * 3)[..., None] + np.array([0, 30, 60, 90])
    rgba = Image.fromarray(colours.astype(np.uint8))
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    wide, real = (Image.fromarray(np.asarray(grey).astype(kind)) for kind in (np.int32, np.float32))
    exif = Image.Exif()
    exif[0x112], exif[0x8298] = 6, "somebody"
    tags = exif.get_ifd(0x8769)
    tags[0x829A] = (1, 60)
    made = {
        "PNG": rgb, "PNG grey": grey, "PNG clear": rgba, "PNG 16": sixteen, "PNG 1": grey.convert("1"),
        "PNG palette": rgb.quantize(16), "JPEG": rgb, "JPEG progressive": rgb, "JPEG CMYK": rgb.convert("CMYK"),
        "WEBP": rgb, "WEBP lossless": rgba, "BMP": rgb, "BMP palette": rgb.quantize(16), "GIF": rgb,
        "TIFF": rgb, "TIFF 16": sixteen, "TIFF int": wide, "TIFF float": real, "TIFF lzw": rgba, "TIFF jpeg": rgb,
        "TIFF deflate": real, "AVIF": rgb, "AVIF clear": rgba, "PPM": rgb, "PPM grey": grey, "PPM 1": grey.convert("1"),
        "PPM float": real,
    }
    options: dict[str, dict[str, object]] = {
        "PNG": {"exif": exif}, "PNG palette": {"transparency": 3}, "JPEG": {"exif": exif},
        "JPEG progressive": {"progressive": True}, "WEBP": {"exif": exif}, "WEBP lossless": {"lossless": True},
        "GIF": {"save_all": True, "append_images": [rgb.rotate(90)], "transparency": 2}, "TIFF": {"exif": exif},
        "TIFF lzw": {"compression": "tiff_lzw"}, "TIFF jpeg": {"compression": "jpeg"},
        "TIFF deflate": {"compression": "tiff_adobe_deflate"}, "AVIF": {"exif": exif},
    }
    found = {}
    for name, image in made.items():
        buffer = io.BytesIO()
        image.save(buffer, name.split()[0], **options.get(name, {}))
        found[name] = buffer.getvalue()
    assert {name.split()[0] for name in found} == set(FORMATS)
    return found


if __name__ == "__main__":
    sys.exit(main())
