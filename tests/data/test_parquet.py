"""Parquet files of encoded images, as other programs write them and as nobody should."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from watchers import Listen

from tenfold.data import encoded_table
from tenfold.data.images import read_image
from tenfold.data.parquet import find_parquet, read_parquet
from tenfold.errors import DataError
from tenfold.progress import Advance, Watcher

SHAPE = (8, 8, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


def encoded(pixels: np.ndarray = PIXELS, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def write(path: Path, cells: Any, labels: Iterable[int | None] | pa.Array | None = None, **options: Any) -> Path:
    """A file of one row group; `cells` are encoded images or an array for the column."""
    if isinstance(cells, list):
        cells = pa.array([{"bytes": cell, "path": None} for cell in cells],
                         pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    labels = pa.array([0] * len(cells), pa.int64()) if labels is None else labels
    pq.write_table(pa.table({"image": cells, "label": labels}), path, **options)
    return path


def shared(cell: bytes, rows: int, **more: pa.Array) -> pa.Array:
    """A column of images in which all rows hold the same bytes, once."""
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([cell]))
    return pa.StructArray.from_arrays([column, *more.values()], names=["bytes", *more])


def read(path: Path, classes: int = 10, most: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    return read_parquet([path], SHAPE, classes, most)


@pytest.mark.parametrize("kind", [pa.uint8(), pa.int8(), pa.uint16(), pa.int32(), pa.uint32(), pa.uint64()])
def test_labels_may_have_any_integer_type(tmp_path: Path, kind: pa.DataType) -> None:
    images, labels = read(write(tmp_path / "a.parquet", [encoded()] * 20, pa.array(np.arange(20) % 10, kind)))
    assert labels.dtype == np.int64
    assert labels.tolist() == list(range(10)) * 2
    assert (images == PIXELS).all()


@pytest.mark.parametrize(("labels", "reason"), [
    (pa.array([0, 2**63], pa.uint64()), "row 1: received the label 9223372036854775808; expected 0 to 9"),
    (pa.array([0, -(2**63)], pa.int64()), "row 1: received the label -9223372036854775808"),
    (pa.array([0, None], pa.uint8()), "row 1: has no label"),
    (pa.array([0.0, 1.0]), "labels are double; expected whole numbers"),
    (pa.array(["0", "1"]), "labels are string; expected whole numbers"),
    (pa.array([[0], [1]]), "received the columns image, label"),
])
def test_invalid_labels_are_refused(tmp_path: Path, labels: pa.Array, reason: str) -> None:
    with pytest.raises(DataError, match=rf"a\.parquet.*{reason}") as caught:
        read(write(tmp_path / "a.parquet", [encoded()] * 2, labels))
    assert "\n" not in str(caught.value)


def test_images_are_decoded_by_the_rules_of_the_image_reader(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 3
    grey = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    clear = np.zeros((8, 8, 4), np.uint8)
    cells = [encoded(), encoded(exif=exif), encoded(grey), encoded(clear), encoded(kind="TIFF"), encoded(kind="JPEG")]
    images, _ = read(write(tmp_path / "a.parquet", cells))
    assert np.array_equal(images[1], PIXELS[::-1, ::-1])
    assert np.array_equal(images[2][..., 0], np.rint(grey / 257))
    assert (images[3] == 255).all()
    assert all(np.array_equal(image, read_image(cell, SHAPE)) for image, cell in zip(images, cells, strict=True))


@pytest.mark.parametrize("column", [pa.array([encoded()] * 3), pa.array([encoded()] * 3, pa.large_binary()),
                                    shared(encoded(), 3)], ids=["binary", "large", "dictionary"])
def test_image_bytes_may_be_in_the_column_itself_or_in_a_dictionary(tmp_path: Path, column: pa.Array) -> None:
    assert (read(write(tmp_path / "a.parquet", column))[0] == PIXELS).all()


@pytest.mark.parametrize(("cells", "reason"), [
    ([encoded(), None], "row 1: has no image bytes"),
    ([encoded(), b"no image"], "row 1: can't be read as an image: it is damaged or in another format; expected PNG"),
    ([encoded(), encoded()[:90]], "row 1: can't be read as an image"),
    ([encoded(), encoded(PIXELS[:7])], "row 1: can't be read as an image: it has 8×7 pixels; expected 8×8"),
    (pa.array([b"12345678"] * 2, pa.binary(8)), "received the columns image, label"),
    (pa.array([[encoded()]] * 2), "received the columns image, label"),
    (pa.array(["text"] * 2), "row 0: can't be read as an image"),
])
def test_cells_without_an_image_are_refused(tmp_path: Path, cells: Any, reason: str) -> None:
    with pytest.raises(DataError, match=rf"a\.parquet.*{reason}") as caught:
        read(write(tmp_path / "a.parquet", cells))
    assert "\n" not in str(caught.value)


# ----------------------------------------------------------------------------------------------------
# memory


READ = """
import sys
from pathlib import Path
import pyarrow
from tenfold.data.parquet import read_parquet
from tenfold.errors import DataError
try:
    print((read_parquet([Path(sys.argv[1])], (8, 8, 3), 10, 5000)[0] == int(sys.argv[2])).all())
except DataError as error:
    print(error)
print(pyarrow.default_memory_pool().max_memory() >> 20)
"""


def read_and_measure(path: Path, value: int = 0) -> tuple[str, int]:
    """What a process of its own says of the file, or whether all its pixels are `value`, and the MiB that took."""
    command = [sys.executable, "-c", READ, str(path), str(value)]
    said, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return said, int(peak)


def test_a_large_cell_that_all_rows_share_is_unpacked_once(tmp_path: Path) -> None:
    rows = 4000  # of 4 MB each: 16 GB
    path = write(tmp_path / "a.parquet", shared(bytes(4 << 20), rows), compression="zstd", store_schema=False,
                 write_statistics=False)
    assert path.stat().st_size < 10_000
    said, peak = read_and_measure(path)
    assert "row 0: received an image of 4,194,304 bytes; expected at most 1,049,088" in said
    assert peak < 50


def test_other_parts_of_an_image_are_never_read(tmp_path: Path) -> None:
    names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4000, np.int32)), pa.array(["a" * (4 << 20)]))
    white = encoded(np.full(SHAPE, 255, np.uint8))
    path = write(tmp_path / "a.parquet", shared(white, 4000, path=names), compression="zstd", store_schema=False,
                 write_statistics=False)
    said, peak = read_and_measure(path, 255)
    assert said == "True"
    assert peak < 50


def test_a_row_group_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_table, "MAX_CHUNK", 1 << 20)
    path = write(tmp_path / "a.parquet", [bytes(1 << 20)] * 2, compression="zstd", use_dictionary=False)
    with pytest.raises(DataError, match=r"image\.bytes unpacks to more than 1,048,576 bytes in one row group"):
        read(path)
    unpacked = pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size
    content = path.read_bytes()
    assert content.count(varint(unpacked)) == 1
    path.write_bytes(content.replace(varint(unpacked), varint(unpacked // 2)))  # a lie
    assert pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size < 1.1 * (1 << 20)
    with pytest.raises(DataError, match=r"image\.bytes unpacks to more than 1,048,576 bytes in one row group"):
        read(path)


def varint(number: int) -> bytes:
    """A number as Thrift's compact protocol has it."""
    number *= 2
    return bytes([*(number >> shift & 127 | 128 for shift in (0, 7, 14)), number >> 21])


def test_delta_byte_array_encoding_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [encoded()] * 2, use_dictionary=False,
                 column_encoding={"image.bytes": "DELTA_BYTE_ARRAY"})
    with pytest.raises(DataError, match=r"image\.bytes is encoded as DELTA_BYTE_ARRAY"):
        read(path)


def test_a_pixel_bomb_in_a_cell_is_not_decoded(tmp_path: Path) -> None:
    bomb = encoded(np.zeros((3000, 3000), np.uint8))
    with pytest.raises(DataError, match=r"row 0: .*3,000×3,000 pixels; expected 8×8"):
        read(write(tmp_path / "a.parquet", shared(bomb, 1000)))


def test_too_many_rows_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", shared(encoded(), 4000))
    with pytest.raises(DataError, match="received 4,000 images; expected at most 3,999"):
        read(path, most=3999)


def test_only_regular_files_are_found(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train-0.parquet")
    write(tmp_path / "train-1.parquet", [encoded()])
    assert find_parquet(tmp_path, "train") == [tmp_path / "train-1.parquet"]


def test_too_many_pages_and_overlapping_columns_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", [encoded()] * 20)
    with monkeypatch.context() as patch:
        patch.setattr(encoded_table, "MAX_PAGES", 1)
        with pytest.raises(DataError, match="more than 1 pages"):
            read(path)
    whole = encoded_table.chunks
    monkeypatch.setattr(encoded_table, "chunks", lambda content: [*whole(content), *whole(content)])
    with pytest.raises(DataError, match="two columns overlap"):
        read(path)


def test_decoding_reports_progress_and_can_be_stopped(tmp_path: Path) -> None:
    path, listen = write(tmp_path / "a.parquet", [encoded()] * 2500), Listen()
    read_parquet([path], SHAPE, 10, 5000, listen)
    assert listen.events == [Advance("decode", done, 2500, "images") for done in (1000, 2000, 2500)]

    class Stop(Watcher):
        def stop(self) -> bool:
            return True

    with pytest.raises(KeyboardInterrupt):
        read_parquet([path], SHAPE, 10, 5000, Stop())
