"""The one image reader: which files it reads and how, and what it refuses."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drill.images import originals, outcomes
from tenfold.data import images
from tenfold.data.images import FORMATS, image_files, read_image
from tenfold.errors import ImageError, UsageError

GREY, COLOUR = (8, 8, 1), (8, 8, 3)
ORIENTATION = 0x112


def fitted(pixels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Pixels uint8 [height, width, 1 or 3] read with `shape` from a lossless file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return read_image(buffer.getvalue(), shape)


def pixels(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(values: np.ndarray, *, photometric: int = 1, more: tuple[tuple[int, int, int], ...] = ()) -> bytes:
    """A TIFF of one strip of grey; `more` are further tags: number, type (3: 16 bits, 4: 32 bits) and value."""
    data, kind = values.tobytes(), {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    height, width = values.shape
    tags = sorted([(256, 4, width), (257, 4, height), (258, 3, values.itemsize * 8), (259, 3, 1), (262, 3, photometric),
                   (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(data)), (339, 3, kind), *more])
    entries = b"".join(struct.pack("<HHII", tag, type_, 1, value) for tag, type_, value in tags)
    return (b"II*\0" + struct.pack("<I", 8 + len(data)) + data
            + struct.pack("<H", len(tags)) + entries + bytes(4))


# ----------------------------------------------------------------------------------------------------
# what is read


@pytest.mark.parametrize("kind", originals())
def test_every_format_is_read_at_its_own_size_and_at_a_model_shape(kind: str) -> None:
    content = originals()[kind]
    image = read_image(content)
    assert image.dtype == np.uint8
    assert image.shape[:2] in ((20, 24), (24, 20))
    grey = {"PNG grey", "PNG 16", "PNG 1", "TIFF 16", "TIFF int", "TIFF float", "TIFF deflate", "PPM grey", "PPM 1",
            "PPM float"}
    assert image.shape[2] == (1 if kind in grey else 3)
    for shape in (GREY, COLOUR, (30, 10, 3)):
        assert read_image(content, shape).shape == shape


def test_a_path_bytes_and_a_stream_give_the_same(tmp_path: Path) -> None:
    content, path = encoded(pixels(20, 30)), tmp_path / "image.png"
    path.write_bytes(content)
    expected = pixels(20, 30)
    with path.open("rb") as stream:
        for source in (content, path, str(path), stream, io.BytesIO(content)):
            assert np.array_equal(read_image(source), expected)
        assert not stream.closed


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
@pytest.mark.parametrize("size", [(40, 30), (1, 1), (2, 3000), (700, 500), (1100, 1300)])
def test_strips_give_the_same_pixels_as_converting_the_whole_image(mode: str, size: tuple[int, int]) -> None:
    """Strips and averaging beforehand change nothing: Pillow's own way on the whole image gives the same bytes."""
    image = Image.fromarray(pixels(*size, 4)).convert("RGB" if mode != "RGBA" else "RGBA").convert(mode)
    content = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    if mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    for shape, target in ((GREY, "L"), ((32, 24, 3), "RGB")):
        expected = image.convert(target)
        if expected.size != (shape[1], shape[0]):
            expected = expected.resize((shape[1], shape[0]), Image.Resampling.BILINEAR, reducing_gap=3.0)
        assert np.array_equal(read_image(content, shape), np.asarray(expected).reshape(shape))
        assert np.array_equal(read_image(content, shape), fitted(read_image(content, (*size, shape[2])), shape))


# ----------------------------------------------------------------------------------------------------
# orientation


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_by_its_orientation_tag(kind: str, orientation: int) -> None:
    turns = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2),
             6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: np.rot90}
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    stored = np.repeat(np.repeat(pixels(50, 90), 8, axis=0), 8, axis=1)  # more than one strip
    content = encoded(stored, kind, exif=exif, **options)
    plain = read_image(encoded(stored, kind, **options))
    assert np.array_equal(read_image(content), turns[orientation](plain))
    small = read_image(content, (7, 5, 3)).astype(int)
    levels = 6 if kind == "JPEG" else 0  # a JPEG is decoded at a lower resolution
    assert np.abs(small - fitted(np.ascontiguousarray(turns[orientation](plain)), (7, 5, 3))).max() <= levels


def exif_with(entry: bytes, orientation: int = 6) -> bytes:
    """An EXIF block with an orientation and one more entry."""
    return (b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + struct.pack(">HHIHH", ORIENTATION, 3, 1, orientation, 0)
            + entry + bytes(4) + struct.pack(">ii", -1, 0))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("entry", [
    struct.pack(">HHII", 0x011A, 10, 1, 38),  # a resolution of -1/0
    struct.pack(">HHIhH", 0x0213, 8, 1, -5, 0),  # a negative short
    struct.pack(">HHI4s", 0x8769, 2, 4, b"abc\0"),  # text for the place of a directory
    struct.pack(">HHII", 0x8769, 4, 1, 0xFFFFFFF0),  # a directory beyond the end
], ids=["zero-denominator", "negative", "wrong-type", "beyond"])
def test_odd_tags_lose_neither_the_pixels_nor_the_orientation(kind: str, entry: bytes) -> None:
    stored = pixels(16, 24)
    content = encoded(stored, kind, exif=exif_with(entry))
    plain = read_image(encoded(stored, kind))
    assert np.array_equal(read_image(content), np.rot90(plain, -1))


def test_unreadable_tags_are_ignored() -> None:
    stored = pixels(16, 24)
    for block in (b"Exif\0\0", b"Exif\0\0MM\0*\0\0", b"Exif\0\0nonsense"):
        assert np.array_equal(read_image(encoded(stored, exif=block)), stored)


@pytest.mark.parametrize("tag", [0x8769, 0x8825])
def test_odd_tags_of_a_tiff_do_not_change_its_pixels(tag: int) -> None:
    values = pixels(16, 24, 1)[..., 0]
    content = tiff(values, more=((tag, 4, 0xFFFFFFF0), (ORIENTATION, 3, 6)))
    assert np.array_equal(read_image(content)[..., 0], np.rot90(values, -1))


# ----------------------------------------------------------------------------------------------------
# what values mean


@pytest.mark.parametrize("shape", [GREY, COLOUR])
@pytest.mark.parametrize("image", [
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)), Image.new("LA", (8, 8), (0, 0)), Image.new("RGBA", (900, 900)),
])
def test_transparent_pixels_become_white(image: Image.Image, shape: tuple[int, int, int]) -> None:
    assert (read_image(encoded(image), shape) == 255).all()


def test_the_transparent_colour_becomes_white() -> None:
    for mode in ("P", "L", "RGB", "I;16"):
        clear: object = (0, 0, 0) if mode == "RGB" else 0
        content = encoded(Image.new(mode, (8, 8)), transparency=clear)
        assert (read_image(content) == 255).all(), mode
    assert (read_image(encoded(Image.new("P", (8, 8)), "GIF", transparency=0)) == 255).all()


def test_sixteen_bit_values_are_scaled_by_their_full_range() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values / 257).astype(np.uint8)
    for content in (encoded(values), encoded(values, "TIFF"), encoded(values, "PPM"), tiff(values)):
        assert np.array_equal(read_image(content)[..., 0], expected)
    assert read_image(encoded(values)).mean() == pytest.approx(127.5)


def test_white_is_zero_images_are_inverted_at_any_bit_depth() -> None:
    eight = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
    for values in (eight, eight.astype(np.uint16) * 257, eight.astype(np.float32) / 255):
        assert np.array_equal(read_image(tiff(values, photometric=0))[..., 0], 255 - eight), values.dtype
        assert np.array_equal(read_image(tiff(values, photometric=1))[..., 0], eight), values.dtype


def test_floats_up_to_one_are_scaled_to_255() -> None:
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    unit = encoded(eight.astype(np.float32) / 255, "TIFF")
    assert np.array_equal(read_image(unit)[..., 0], eight)
    assert np.array_equal(read_image(unit, (16, 16, 3)), np.repeat(eight[..., None], 3, axis=2))
    assert np.array_equal(read_image(encoded(eight.astype(np.float32), "TIFF"))[..., 0], eight)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_values_above_255_are_scaled_by_the_files_own_range(kind: type) -> None:
    eight = np.arange(256).reshape(16, 16)
    assert np.array_equal(read_image(encoded((eight * 2).astype(kind), "TIFF"))[..., 0], eight)
    low = read_image(encoded((eight - 10).astype(kind), "TIFF"))[..., 0]
    assert np.array_equal(low, np.clip(eight - 10, 0, None))  # as they are; below 0 is black
    assert np.array_equal(read_image(encoded((eight // 128).astype(np.int32), "TIFF"))[..., 0], eight // 128)


# ----------------------------------------------------------------------------------------------------
# what is refused


def eps(path: Path) -> None:
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "text.png": (lambda path: path.write_text("no image"), "it is damaged or in another format; expected PNG, JPEG"),
    "empty.png": (lambda path: path.touch(), "expected PNG"),
    "cut.png": (lambda path: path.write_bytes(encoded(pixels(200, 200))[:5000]), "truncated"),
    "nan.tif": (lambda path: path.write_bytes(encoded(np.full((8, 8), np.nan, np.float32), "TIFF")), "infinite"),
    "inf.tif": (lambda path: path.write_bytes(encoded(np.full((8, 8), -np.inf, np.float32), "TIFF")), "infinite"),
    "eps.png": (eps, "expected PNG"),
    "texture.png": (lambda path: path.write_bytes(encoded(pixels(8, 8, 4), "DDS")), "expected PNG"),
    "scan.jpg": (lambda path: path.write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(80)), "expected PNG"),
    "movie.jpg": (lambda path: path.write_bytes(encoded(pixels(8, 8), "AVIF")[:200]), "."),
    "missing.png": (lambda path: None, "No such file"),
    "folder.png": (lambda path: path.mkdir(), "not a regular file"),
    "pipe.png": (lambda path: os.mkfifo(path), "not a regular file"),
    "device.png": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_not_an_image_is_reported_in_one_line(tmp_path: Path, name: str) -> None:
    make, reason = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(ImageError, match=f"{name}: can't be read as an image: .*{reason}") as caught:
        read_image(tmp_path / name, GREY)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count(name) == 1


def test_bytes_and_streams_are_refused_in_one_line() -> None:
    for source in (b"", b"no image", io.BytesIO(b"no image")):
        with pytest.raises(ImageError, match=r"^can't be read as an image: it is damaged or in another format"):
            read_image(source)


def test_reading_never_starts_ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    eps(tmp_path / "a.png")
    with pytest.raises(ImageError, match="in another format"):
        read_image(tmp_path / "a.png")
    assert "EPS" not in FORMATS


def test_lack_of_memory_is_an_image_error_and_ctrl_c_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*args: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(Image, "open", run_out)
    error: BaseException = MemoryError()
    with pytest.raises(ImageError, match="not enough memory"):
        read_image(b"")
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        read_image(b"")


def test_another_size_is_refused_without_resizing() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turned = encoded(pixels(8, 6), exif=exif)
    assert read_image(turned, (6, 8, 3), resize=None).shape == (6, 8, 3)
    for content, size in ((turned, "8×6"), (encoded(pixels(9, 6)), "6×9"), (bomb("PNG"), "pixels")):
        with pytest.raises(ImageError, match=rf"{size}( pixels; expected 6×8)?"):
            read_image(content, (8, 6, 3), resize=None)


# ----------------------------------------------------------------------------------------------------
# memory


def bomb(kind: str) -> bytes:
    """A header that asks for 900 million pixels, or for a tile of them."""
    if kind == "PNG":
        parts = ((b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(99))))
        chunks = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
                  for name, data in parts)
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    if kind == "tile":
        return tiff(pixels(8, 8, 1)[..., 0], more=((322, 4, 30_000), (323, 4, 30_000), (324, 4, 8), (325, 4, 64)))
    return tiff(pixels(8, 8, 1)[..., 0]).replace(struct.pack("<HHII", 256, 4, 1, 8), struct.pack(
        "<HHII", 256, 4, 1, 112_500_000))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "tile"])
def test_too_many_pixels_are_refused_before_they_are_decoded(kind: str) -> None:
    with pytest.raises(ImageError, match="pixels") as caught:
        read_image(bomb(kind), GREY)
    assert "\n" not in str(caught.value)


def test_formats_whose_decoder_takes_more_memory_have_a_lower_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS_OF_FORMAT", {"WEBP": 99})
    assert read_image(encoded(pixels(10, 10))).shape == (10, 10, 3)
    with pytest.raises(ImageError, match="10×10 pixels; expected at most 99"):
        read_image(encoded(pixels(10, 10), "WEBP"))


def test_a_large_progressive_jpeg_is_decoded_at_a_lower_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    smooth = np.add.outer(np.arange(1200), np.arange(1600))[..., None] // 11 + np.zeros(3)
    content = encoded(smooth.astype(np.uint8), "JPEG", progressive=True)
    expected = read_image(content, (24, 32, 3))
    monkeypatch.setattr(images, "DRAFT_PIXELS", 0)
    assert np.abs(read_image(content, (24, 32, 3)).astype(int) - expected).max() <= 2


MEASURE = """
import sys
from tenfold.data.images import read_image
from PIL import Image
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
Image.init()
Image.new("RGBA", (8, 8)).save(sys.argv[1] + ".png")
read_image(sys.argv[1] + ".png", (8, 8, 3))
before = peak()
read_image(sys.argv[1], (8, 8, 3))
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to tell how much memory was held")
@pytest.mark.parametrize("kind", ["grey16", "float", "RGBA", "RGB"])
def test_a_large_image_needs_five_bytes_per_pixel(tmp_path: Path, kind: str) -> None:
    """More than 5 bytes would be a second copy of the pixels."""
    side = 4000
    made = {"grey16": Image.new("I;16", (side, side), 999), "float": Image.new("F", (side, side), 0.5),
            "RGBA": Image.new("RGBA", (side, side), (9, 9, 9, 99)), "RGB": Image.new("RGB", (side, side), "red")}
    path = tmp_path / "large"
    path.write_bytes(encoded(made[kind], "TIFF" if kind == "float" else "PNG", **(
        {} if kind == "float" else {"compress_level": 1})))
    told = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    assert int(told.stdout) * 1024 < 5.5 * side * side


# ----------------------------------------------------------------------------------------------------
# names and folders


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_file_names_may_hold_invalid_text_and_line_breaks(tmp_path: Path) -> None:
    for name in (b"caf\xe9.png", b"two\nlines.png"):
        path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
        path.write_bytes(encoded(pixels(8, 8)))
        assert read_image(path).shape == COLOUR
        assert path in list(image_files([tmp_path]))
        path.write_bytes(b"no image")
        with pytest.raises(ImageError, match=r"(caf|two)\?.*png: can't be read") as caught:
            read_image(path)
        assert str(caught.value).isprintable()
        path.unlink()


def test_folders_are_searched_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("below", ".thumbnails"):
        (tmp_path / name).mkdir()
    for name in ("b.png", "below/A.PNG", "a.txt", "c.avif", "._b.png", ".thumbnails/b.png", "t.parquet"):
        (tmp_path / name).touch()
    assert list(image_files([tmp_path])) == [tmp_path / name for name in ("b.png", "below/A.PNG", "c.avif")]
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="holds no images"):
        list(image_files([tmp_path / "none"]))
    with pytest.raises(UsageError, match="no such file"):
        list(image_files([tmp_path / "nowhere"]))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes of this kind")
def test_what_can_not_be_read_in_a_folder_is_found_and_told(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = list(image_files([tmp_path]))
    assert [path.name for path in found] == ["link.png", "pipe.png"]
    for path, reason in zip(found, ("No such file", "not a regular file"), strict=True):
        with pytest.raises(ImageError, match=reason):
            read_image(path)


def test_a_folder_without_images_may_hold_parquet_files(tmp_path: Path) -> None:
    for name in ("test/b.parquet", "a.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(image_files([tmp_path])) == [tmp_path / "a.parquet", tmp_path / "test" / "b.parquet"]


# ----------------------------------------------------------------------------------------------------


def test_damaged_images_of_all_formats_are_read_or_refused() -> None:
    """`python -m drill.images 20000` tries more of them."""
    assert set(outcomes(600, seed=1)) == {"read", "refused"}


def test_a_small_file_is_not_read_with_memory_for_the_largest(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(path)
    tracemalloc.start()
    try:
        assert len(images.file_bytes(path, 1 << 28)) == path.stat().st_size
        read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
