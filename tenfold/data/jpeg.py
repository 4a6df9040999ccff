"""JPEG files through libjpeg-turbo without Pillow: several times faster, and at once at a lower resolution."""

from __future__ import annotations

import numpy as np

from tenfold.data.fitting import fit
from tenfold.recipe.sections import Resize

MOST_PIXELS = 1 << 24  # larger images go to Pillow, strip by strip
ENOUGH = 1.25  # a large image is decoded at no less than this many times its final size, then interpolated
START, EXIF, ORIENTATION = b"\xff\xd8\xff", b"Exif\x00\x00", 0x112
SMALL = 1 << 12  # bytes of a file that is searched faster than its segments are read
APP1, SCAN = 0xE1, 0xDA  # the segment that holds EXIF, and the one after which pixels come


def decode_jpeg(content: bytes, shape: tuple[int, int, int] | None, resize: Resize | None) -> np.ndarray | None:
    """The upright image as uint8 [h, w, c], brought to `shape` if that is given; None if Pillow has to decide.

    That is the case for everything but an ordinary JPEG: other formats, CMYK, damaged or very large files, another
    size if `resize` is None.
    """
    header = _header(content)
    if header is None:
        return None
    import simplejpeg

    height, width, own_channels, turn = header
    size = (width, height) if turn >= 5 else (height, width)
    channels = shape[2] if shape else own_channels
    try:
        if shape and resize is None and size != shape[:2]:
            return None
        plan = fit(size, shape, resize or "stretch") if shape and size != shape[:2] else None
        by = 1 if plan is None else next(by for by in (8, 4, 2, 1) if min(plan.across, plan.down) >= ENOUGH * by
                                         or by == 1)
        pixels = simplejpeg.decode_jpeg(content, "GRAY" if channels == 1 else "RGB", min_height=-(-height // by),
                                        min_width=-(-width // by), min_factor=by)
    except ValueError:
        return None
    upright = turned(pixels, turn)
    return upright if plan is None else plan.apply(upright, size[1] / upright.shape[1], size[0] / upright.shape[0])


def jpeg_shape(content: bytes) -> tuple[int, int, int] | None:
    """Height, width and channels of the upright image, from its header; None if Pillow has to decide."""
    header = _header(content)
    if header is None:
        return None
    height, width, channels, turn = header
    return (width, height, channels) if turn >= 5 else (height, width, channels)


def _header(content: bytes) -> tuple[int, int, int, int] | None:
    """Height, width, channels and orientation of an ordinary JPEG that is not too large; None of anything else."""
    if not content.startswith(START):
        return None
    import simplejpeg

    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return None
    if space not in ("Gray", "YCbCr") or height * width > MOST_PIXELS:
        return None
    return height, width, 1 if space == "Gray" else 3, orientation(content)


def orientation(content: bytes) -> int:
    """How the EXIF data of a JPEG say that the image is turned, 1 to 8; 1 if they do not say it or can't be read."""
    found = exif_data(content)
    if not found:
        return 1
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(found)
        turn = exif.get(ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # odd tags must not lose the pixels
        return 1
    return turn if turn in range(1, 9) else 1


def exif_data(content: bytes) -> bytes:
    """The EXIF data of a JPEG, from the segments before its pixels; nothing if there are none."""
    if len(content) < SMALL and EXIF not in content:
        return b""
    at = 2
    while content[at : at + 1] == b"\xff" and len(content) > at + 3 and content[at + 1] != SCAN:
        if content[at + 1] == 0xFF:  # a filling byte
            at += 1
            continue
        end = at + 2 + max(2, int.from_bytes(content[at + 2 : at + 4], "big"))
        if content[at + 1] == APP1 and content.startswith(EXIF, at + 4):
            return content[at + 4 : end]
        at = end
    return b""


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The upright image from the pixels [h, w, c] of a file and its EXIF orientation."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
