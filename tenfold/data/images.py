"""The one image reader: a file, bytes or a stream in, uint8 pixels out, by the rules of docs/data.md."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tenfold.errors import ImageError, UsageError, first_line
from tenfold.storage.paths import absent

if TYPE_CHECKING:
    from PIL.Image import Image

Source = str | os.PathLike[str] | bytes | BinaryIO
Shape = tuple[int, ...]  # height, width, channels

# All others are refused: Pillow would start Ghostscript for an EPS file, whatever its name.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif", ".ppm", ".pgm")
MOST_PIXELS = 89_478_485  # where Pillow begins to suspect a decompression bomb
MOST_OF_FORMAT = {"WEBP": 35_000_000, "AVIF": 50_000_000}  # their decoders hold 16 and 9 bytes a pixel
MOST_OF_TILE = 1 << 22  # pixels in one tile of a TIFF; a larger one is fine if the image is as large
DRAFT = 1 << 24  # pixels of a progressive JPEG above which it is decoded at a lower resolution
STRIP = 1 << 18  # pixels converted at a time, so that no second copy of a large image is made
GAP = 3.0  # a large image is averaged down to at least this many times its final size, then interpolated

# Tags of EXIF and TIFF.
ORIENTATION, PHOTOMETRIC, BITS, TILE_WIDTH, TILE_LENGTH = 0x112, 0x106, 0x102, 0x142, 0x143
GREY_MODES = ("1", "L", "LA", "La", "F", "I", "I;16", "I;16B", "I;16L", "I;16N")


def read_image(source: Source, shape: Shape | None = None, *, resize: bool = True) -> np.ndarray:
    """An image file, its bytes or a binary stream as uint8 [height, width, channels].

    Without `shape` it keeps its size and has 1 channel if it is grey, else 3. With `shape` (height, width, 1 or
    3) it is converted and interpolated to that; if `resize` is false, another size is a mistake. It takes about 5
    bytes of memory a pixel with a shape, 8 without, beyond what the decoder itself may need.
    Raises ImageError, with the reason in one line, whatever is wrong with the file.
    """
    named = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "")
    name = f"{printable(named)}: " if isinstance(named, str | os.PathLike) and named else ""
    try:
        with warnings.catch_warnings(), _stream(source) as stream:
            # About tags that nobody reads; and of too many pixels it must be an error.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            return _decode(stream, shape, resize)
    except Exception as error:  # a decoder may raise anything
        raise ImageError(f"{name}can't be read as an image: {_reason(error)}") from None


def image_files(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Files as named, and the images in folders (recursively). Raises UsageError where there are none."""
    for path in map(Path, paths):
        reason = absent(path, "file or folder")
        if reason:
            raise UsageError(f"{printable(path)}: {reason}; expected image files or folders of images")
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not found:
                raise UsageError(f"{path}: the folder holds no images; expected files ending in {', '.join(SUFFIXES)}")
            yield from found
        else:
            yield path


def printable(path: str | os.PathLike[str]) -> str:
    """The name of a file in characters that print: names need be neither text nor in one line."""
    return "".join(character if character.isprintable() else "?" for character in os.fspath(path))


def _stream(source: Source) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, str | os.PathLike):
        if not stat.S_ISREG(os.stat(source).st_mode):  # reading a pipe or a device might never end
            raise ValueError("it is no regular file")
        return open(source, "rb")
    return nullcontext(source)


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"it is damaged, or none of {', '.join(FORMATS)}"
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    return getattr(error, "strerror", None) or first_line(error)


def _decode(stream: BinaryIO, shape: Shape | None, resize: bool) -> np.ndarray:
    from PIL import Image

    with Image.open(stream, formats=FORMATS) as image:
        wanted = None if shape is None or resize else (shape[1], shape[0])
        _limit(image)
        if wanted and sorted(image.size) != sorted(wanted):
            raise _wrong_size(image.size, wanted)
        if shape and resize and image.info.get("progressive") and image.width * image.height > DRAFT:
            longest = int(GAP * max(shape[:2]))
            image.draft(None, (longest, longest))  # its coefficients alone take 3 to 6 bytes a pixel
        if image.format == "TIFF":  # Pillow turns it
            image.getexif()[ORIENTATION] = _take_orientation(image)
            image.load()
            orientation = 1
        else:
            image.load()  # first, since the tags of a PNG may come last
            orientation = _take_orientation(image)
        if wanted and _turned(image, orientation) != wanted:
            raise _wrong_size(_turned(image, orientation), wanted)
        deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
        to_eight_bits = _levels(image) if deep else _on_white if image.has_transparency_data else _unchanged
        return _convert(image, orientation, shape, to_eight_bits)


def _limit(image: Image) -> None:
    """Raise ValueError, before it is decoded, where an image would take more memory than it may."""
    pixels, most = image.width * image.height, MOST_OF_FORMAT.get(image.format or "", MOST_PIXELS)
    if pixels > most:
        raise ValueError(f"it has {image.width:,}×{image.height:,} pixels; expected at most {most:,}")
    tags = _tags(image)
    tile = tags.get(TILE_WIDTH, 0) * tags.get(TILE_LENGTH, 0)
    if tile > max(pixels, MOST_OF_TILE):
        raise ValueError(f"it has tiles of {tile:,} pixels; expected at most {MOST_OF_TILE:,}")


def _wrong_size(size: tuple[int, int], wanted: tuple[int, int]) -> ValueError:
    return ValueError(f"it has {size[0]:,}×{size[1]:,} pixels; expected {wanted[0]:,}×{wanted[1]:,}")


def _take_orientation(image: Image) -> int:
    """How EXIF says the image is turned, 1 to 8: 1 where it can't be read, since odd tags must not lose the pixels.

    All tags are removed, because Pillow reads those of a TIFF again when it decodes the pixels.
    """
    if not image.info and not _tags(image):
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:
        found = _tags(image).get(ORIENTATION, 1)
    exif = image.getexif()
    for tag in list(exif):
        del exif[tag]
    return found if found in range(1, 9) else 1


def _tags(image: Image) -> Any:
    """The tags of a TIFF; of others, none."""
    return getattr(image, "tag_v2", {})


def _turned(image: Image, orientation: int) -> tuple[int, int]:
    """Width and height of the image when it has been turned."""
    return (image.height, image.width) if orientation >= 5 else image.size


# ----------------------------------------------------------------------------------------------------
# pixels of any mode to 8 bits, strip by strip


def _convert(
    image: Image, orientation: int, shape: Shape | None, to_eight_bits: Callable[[Image], Image]
) -> np.ndarray:
    """The pixels turned, in 8 bits, in one or three channels, averaged down and interpolated to `shape`."""
    from PIL import Image

    channels = shape[2] if shape else 1 if image.mode in GREY_MODES else 3
    width, height = _turned(image, orientation)
    across, down = (1, 1) if shape is None else (int(width / shape[1] / GAP) or 1, int(height / shape[0] / GAP) or 1)
    reduced = np.empty((-(-height // down), -(-width // across), channels), np.uint8)
    filled = 0
    for strip in _strips(image, orientation, down):
        pixels = to_eight_bits(strip).convert("L" if channels == 1 else "RGB")
        if (across, down) != (1, 1):
            pixels = pixels.reduce((across, down))
        rows = np.frombuffer(pixels.tobytes(), np.uint8).reshape(-1, *reduced.shape[1:])
        reduced[filled : filled + len(rows)] = rows
        filled += len(rows)
    if shape is None or reduced.shape == shape:
        return reduced
    small = Image.fromarray(reduced[:, :, 0] if channels == 1 else reduced)
    box = (0, 0, width / across, height / down)
    resized = small.resize((shape[1], shape[0]), Image.Resampling.BILINEAR, box=box)
    return np.array(resized).reshape(shape)


def _strips(image: Image, orientation: int, multiple: int) -> Iterator[Image]:
    """The upright image from top to bottom, in strips; all but the last have a `multiple` of rows."""
    from PIL.Image import Transpose

    turn = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
            5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
            8: Transpose.ROTATE_90}.get(orientation)
    width, height = _turned(image, orientation)
    rows = max(1, STRIP // (width * multiple)) * multiple
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        # Where these rows lie in the file: rows or columns, from either end.
        first, last = (height - bottom, height - top) if orientation in (3, 4, 7, 8) else (top, bottom)
        box = (first, 0, last, image.height) if orientation >= 5 else (0, first, image.width, last)
        strip = image if last - first == height else image.crop(box)
        yield strip if turn is None else strip.transpose(turn)


def _unchanged(strip: Image) -> Image:
    return strip


def _on_white(strip: Image) -> Image:
    from PIL import Image

    layer = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def _levels(image: Image) -> Callable[[Image], Image]:
    """The function that takes strips of an image of 16-bit, 32-bit or float grey to 8 bits."""
    from PIL import Image

    tags = _tags(image)
    top = _top(image, tags)
    clear = image.info.get("transparency")
    inverted = tags.get(PHOTOMETRIC) == 0  # white is zero; Pillow inverts only 8 bits

    def to_eight_bits(strip: Image.Image) -> Image.Image:
        values = np.asarray(strip)
        levels = np.rint(np.clip(values * (255.0 / top), 0, 255)).astype(np.uint8)
        if inverted:
            levels = 255 - levels
        if clear is not None:
            levels[values == clear] = 255
        return Image.fromarray(levels)

    return to_eight_bits


def _top(image: Image, tags: Any) -> float:
    """The value that becomes 255."""
    if image.mode.startswith("I;16"):
        return 2.0 ** tags.get(BITS, (16,))[0] - 1  # 16, or the 12 of some microscopes
    if image.format == "PPM" and image.mode == "I":
        return 65535.0  # Pillow has scaled it
    highest = -np.inf
    for strip in _strips(image, 1, 1):
        values = np.asarray(strip)
        if not np.isfinite((values.min(), values.max())).all():
            raise ValueError("it holds pixels that are no finite numbers")
        highest = max(highest, float(values.max()))
    if image.mode == "F" and highest <= 1:
        return 1.0
    return max(255.0, highest)
