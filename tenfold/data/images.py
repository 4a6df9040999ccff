"""Reads an image from a file, bytes or a stream as uint8 pixels. docs/data.md gives the rules."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tenfold.data.fitting import GAP, fit
from tenfold.data.jpeg import START, decode_jpeg, jpeg_shape
from tenfold.errors import ImageError, UsageError, first_line
from tenfold.recipe.sections import Resize
from tenfold.storage.paths import check_present, printable

if TYPE_CHECKING:
    from PIL.Image import Image

Source = str | os.PathLike[str] | bytes | BinaryIO
Shape = tuple[int, int, int]  # height, width, channels

# All other formats are refused: Pillow would start Ghostscript for an EPS file with any name.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif", ".ppm", ".pgm")
MAX_PIXELS = 89_478_485  # Pillow warns of a decompression bomb above this
MAX_PIXELS_OF_FORMAT = {"WEBP": 35_000_000, "AVIF": 50_000_000}  # their decoders need 16 and 9 bytes per pixel
MAX_TILE_PIXELS = 1 << 22  # of a TIFF tile; a larger tile is allowed if the image is as large
DRAFT_PIXELS = 1 << 24  # a progressive JPEG with more pixels is decoded at a lower resolution
STRIP_PIXELS = 1 << 18  # converted at a time, to avoid a second copy of a large image
MAX_JPEG_BYTES = 64 << 20  # of a file that is read into memory

# Files of many images that are read for training only.
PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".npz", ".npy", ".pickle", ".pkl")

# EXIF and TIFF tags.
ORIENTATION, PHOTOMETRIC, BITS, TILE_WIDTH, TILE_LENGTH = 0x112, 0x106, 0x102, 0x142, 0x143
GREY_MODES = ("1", "L", "LA", "La", "F", "I", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class Header:
    """The start of an image file: height and width of the upright image in pixels, Pillow's mode ("RGB", "L", …)."""

    height: int
    width: int
    mode: str

    @property
    def shape(self) -> Shape:
        """Height, width and channels (1 if grey, else 3)."""
        return self.height, self.width, 1 if self.mode in GREY_MODES else 3


def read_image(source: Source, shape: Shape | None = None, *, resize: Resize | None = "stretch") -> np.ndarray:
    """Read an image file, its bytes or a binary stream as uint8 [height, width, channels].

    Without `shape`, the image keeps its size and has 1 channel if it is grey, else 3. With `shape` (height, width, 1
    or 3), it is converted, and padded with black, cropped in the middle or stretched to this shape, as `resize` says;
    if `resize` is None, another size is an error. Needs about 5 bytes of memory per pixel with a shape and 8 without,
    plus the memory of the decoder. Raises ImageError with the reason in one line if the image can't be read for any
    reason.
    """
    named = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "")
    name = f"{printable(named)}: " if isinstance(named, str | os.PathLike) and named else ""
    try:
        if isinstance(source, bytes):
            pixels = decode_jpeg(source, shape, resize) if len(source) < MAX_JPEG_BYTES else None
            return _decode(io.BytesIO(source), shape, resize) if pixels is None else pixels
        with _stream(source) as stream:
            pixels = decode_jpeg(_jpeg_bytes(stream), shape, resize)
            return _decode(stream, shape, resize) if pixels is None else pixels
    except Exception as error:  # a decoder may raise anything
        raise ImageError(f"{name}can't be read as an image: {_reason(error)}") from None


def pillow_pixels(image: Image, shape: Shape | None = None, *, resize: Resize = "stretch") -> np.ndarray:
    """A Pillow image as uint8 [height, width, channels], by the rules of `read_image`; it is not changed.

    Raises ImageError if it can't be loaded or has too many pixels.
    """
    try:
        with _without_warnings():
            _limit(image)
            image = image.copy()
            return _in_eight_bits(image, _take_orientation(image), shape, resize)
    except Exception as error:  # a decoder may raise anything
        raise ImageError(f"can't be read as an image: {_reason(error)}") from None


def image_header(source: Source) -> Header:
    """The header of an image, from the start of its file.

    Raises ImageError if it can't be read; the rest of the file may still be damaged.
    """
    found = jpeg_shape(source) if isinstance(source, bytes) else None
    if found is not None:
        return Header(found[0], found[1], "L" if found[2] == 1 else "RGB")
    from PIL import Image

    try:
        with _without_warnings(), _stream(source) as stream, Image.open(stream, formats=FORMATS) as image:
            _limit(image)
            width, height = _turned(image, _take_orientation(image))
            return Header(height, width, image.mode)
    except Exception as error:  # a decoder may raise anything
        raise ImageError(f"it can't be read as an image: {_reason(error)}") from None


def file_bytes(path: str | Path, most: int) -> bytes:
    """The content of an image file. Raises ImageError if it can't be read, is no regular file or is larger."""
    with _raw(path) as (stream, size):
        content = stream.readall() if size <= most else b""
    if max(size, len(content)) > most:
        raise ImageError(f"it has more than {most:,} bytes; expected an image")
    return content


def file_start(path: str | Path, most: int) -> tuple[bytes, int]:
    """The first bytes of an image file and its size. Raises ImageError if it can't be read or is no regular file."""
    with _raw(path) as (stream, size):
        return stream.read(most), size


@contextmanager
def _raw(path: str | Path) -> Iterator[tuple[io.FileIO, int]]:
    """An image file, opened without Python's buffers, and its size. Raises ImageError."""
    try:
        size = _regular(path).st_size
        with open(path, "rb", buffering=0) as stream:
            yield stream, size
    except (OSError, ValueError) as error:
        raise ImageError(f"it can't be read: {_reason(error)}") from None


def values_in_words(low: float, high: float) -> str:
    """The range of pixel values in an error: "values from -1 to 1"."""
    return f"values from {low:g} to {high:g}" if np.isfinite((low, high)).all() else "values that are not finite"


def check_given(images: Any) -> None:
    """Raise UsageError if a path among given images does not exist: told before anything is opened or computed."""
    for each in images if isinstance(images, list | tuple) else [images]:
        if isinstance(each, str | Path):
            check_present(each)


def image_files(paths: Iterable[str | Path]) -> Iterator[Path]:
    """The given files, and the images in the given folders and their subfolders, without hidden ones.

    Of a folder without images, its parquet files. Raises UsageError if a path does not exist, a folder holds neither,
    or a file holds many images in another form than a table.
    """
    for path in map(Path, paths):
        check_present(path)
        if path.is_dir():
            found = _inside(path, SUFFIXES) or _inside(path, (".parquet",))
            if not found:
                raise UsageError(f"{path}: the folder holds no images; expected files ending in {', '.join(SUFFIXES)}")
            yield from found
        elif path.suffix.lower() in PACKED:
            raise UsageError(f"images: received {printable(path)}; expected image files, folders or tables: unpack it, "
                             "or give its images as an array in Python")
        else:
            yield path


def _inside(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files in a folder and below, also those that can't be read, such as broken links; without hidden ones."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names
                  if not name.startswith(".") and os.path.splitext(name)[1].lower() in endings]
    return sorted(found, key=lambda each: each.parts)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings about unused tags and large images; `_limit` refuses images that are too large."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _stream(source: Source) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, str | os.PathLike):
        _regular(source)
        return open(source, "rb")
    return nullcontext(source)


def _regular(path: str | os.PathLike[str]) -> os.stat_result:
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):  # reading a pipe or a device might never end
        raise ValueError("it is not a regular file")
    return found


def _jpeg_bytes(stream: BinaryIO) -> bytes:
    """The content of a JPEG file; nothing if it is of another format or very large. The stream is rewound."""
    start = stream.tell()
    content = stream.read(len(START))
    if content == START:
        stream.seek(start)
        content = _rest(stream, MAX_JPEG_BYTES)
    stream.seek(start)
    return content if len(START) < len(content) < MAX_JPEG_BYTES else b""


def _rest(stream: BinaryIO, most: int) -> bytes:
    """At most so many of the next bytes: `read` takes memory for what it is asked for, even if less is there."""
    start = stream.tell()
    there = stream.seek(0, os.SEEK_END) - start
    stream.seek(start)
    return stream.read(min(there, most))


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"it is damaged or in another format; expected {', '.join(FORMATS)}"
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return getattr(error, "strerror", None) or first_line(error)


def _decode(stream: BinaryIO, shape: Shape | None, resize: Resize | None) -> np.ndarray:
    from PIL import Image

    with _without_warnings(), Image.open(stream, formats=FORMATS) as image:
        wanted = None if shape is None or resize else (shape[1], shape[0])
        _limit(image)
        if wanted and sorted(image.size) != sorted(wanted):
            raise _wrong_size(image.size, wanted)
        if shape and resize and image.info.get("progressive") and image.width * image.height > DRAFT_PIXELS:
            longest = int(GAP * max(shape[:2]))
            image.draft(None, (longest, longest))  # the coefficients alone need 3 to 6 bytes per pixel
        if image.format == "TIFF":  # `load` applies the orientation
            image.getexif()[ORIENTATION] = _take_orientation(image)
            image.load()
            orientation = 1
        else:
            image.load()  # before reading the tags, which may come last in a PNG
            orientation = _take_orientation(image)
        if wanted and _turned(image, orientation) != wanted:
            raise _wrong_size(_turned(image, orientation), wanted)
        return _in_eight_bits(image, orientation, shape, resize or "stretch")


def _in_eight_bits(image: Image, orientation: int, shape: Shape | None, resize: Resize) -> np.ndarray:
    """A loaded image, upright, in 8 bits and brought to `shape`."""
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    to_eight_bits = _levels(image) if deep else _on_white if image.has_transparency_data else _unchanged
    return _convert(image, orientation, shape, resize, to_eight_bits)


def _limit(image: Image) -> None:
    """Raise ValueError, before decoding, if the image would need too much memory."""
    pixels, most = image.width * image.height, MAX_PIXELS_OF_FORMAT.get(image.format or "", MAX_PIXELS)
    if pixels > most:
        raise ValueError(f"it has {image.width:,}×{image.height:,} pixels; expected at most {most:,}")
    tags = _tags(image)
    tile = tags.get(TILE_WIDTH, 0) * tags.get(TILE_LENGTH, 0)
    if tile > max(pixels, MAX_TILE_PIXELS):
        raise ValueError(f"it has tiles of {tile:,} pixels; expected at most {MAX_TILE_PIXELS:,}")


def _wrong_size(size: tuple[int, int], wanted: tuple[int, int]) -> ValueError:
    return ValueError(f"it has {size[0]:,}×{size[1]:,} pixels; expected {wanted[0]:,}×{wanted[1]:,}")


def _take_orientation(image: Image) -> int:
    """The EXIF orientation, 1 to 8. It is 1 if the tags are unreadable: the pixels may still be good.

    Removes all tags, because Pillow reads the tags of a TIFF again when it decodes the pixels.
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
    """The tags of a TIFF; empty for other formats."""
    return getattr(image, "tag_v2", {})


def _turned(image: Image, orientation: int) -> tuple[int, int]:
    """Width and height of the image after turning it upright."""
    return (image.height, image.width) if orientation >= 5 else image.size


# ----------------------------------------------------------------------------------------------------
# conversion to 8 bits, strip by strip


def _convert(
    image: Image, orientation: int, shape: Shape | None, resize: Resize, to_eight_bits: Callable[[Image], Image]
) -> np.ndarray:
    """The upright image in 8 bits with one or three channels, averaged down and brought to `shape`."""
    channels = shape[2] if shape else 1 if image.mode in GREY_MODES else 3
    width, height = _turned(image, orientation)
    plan = fit((height, width), shape, resize) if shape else None
    across, down = (int(plan.across / GAP) or 1, int(plan.down / GAP) or 1) if plan else (1, 1)
    reduced = np.empty((-(-height // down), -(-width // across), channels), np.uint8)
    filled = 0
    for strip in _strips(image, orientation, down):
        pixels = to_eight_bits(strip).convert("L" if channels == 1 else "RGB")
        if (across, down) != (1, 1):
            pixels = pixels.reduce((across, down))
        rows = np.frombuffer(pixels.tobytes(), np.uint8).reshape(-1, *reduced.shape[1:])
        reduced[filled : filled + len(rows)] = rows
        filled += len(rows)
    return reduced if plan is None else plan.apply(reduced, across, down)


def _strips(image: Image, orientation: int, multiple: int) -> Iterator[Image]:
    """Strips of the upright image from top to bottom. Each has a multiple of `multiple` rows, except the last."""
    from PIL.Image import Transpose

    turn = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
            5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
            8: Transpose.ROTATE_90}.get(orientation)
    width, height = _turned(image, orientation)
    rows = max(1, STRIP_PIXELS // (width * multiple)) * multiple
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        # These rows are rows or columns of the file, counted from its start or its end.
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
    """A function that converts strips of this 16-bit, 32-bit or float grey image to 8 bits."""
    from PIL import Image

    tags = _tags(image)
    top = _top(image, tags)
    transparent = image.info.get("transparency")
    inverted = tags.get(PHOTOMETRIC) == 0  # zero means white; Pillow inverts only 8-bit images

    def to_eight_bits(strip: Image.Image) -> Image.Image:
        values = np.asarray(strip)
        levels = np.rint(np.clip(values * (255.0 / top), 0, 255)).astype(np.uint8)
        if inverted:
            levels = 255 - levels
        if transparent is not None:
            levels[values == transparent] = 255
        return Image.fromarray(levels)

    return to_eight_bits


def _top(image: Image, tags: Any) -> float:
    """The value that becomes 255."""
    if image.mode.startswith("I;16"):
        return 2.0 ** tags.get(BITS, (16,))[0] - 1  # 16 bits, or 12 from some microscopes
    if image.format == "PPM" and image.mode == "I":
        return 65535.0  # Pillow scales PPM values to 16 bits
    highest = -np.inf
    for strip in _strips(image, 1, 1):
        values = np.asarray(strip)
        if not np.isfinite((values.min(), values.max())).all():
            raise ValueError("it has NaN or infinite pixels; expected finite numbers")
        highest = max(highest, float(values.max()))
    if image.mode == "F" and highest <= 1:
        return 1.0
    return max(255.0, highest)
