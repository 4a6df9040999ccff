"""The headers of image files: size and mode as they are in the file, whichever source reads it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_images import Content, drawn, encoded, plant
from PIL import Image

from tenfold.data import open_dataset
from tenfold.data.images import Header
from tenfold.recipe import DataSection


def turned(image: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[0x112] = 6
    return encoded(image, "JPEG", exif=exif)


FILES: dict[str, Content] = {
    "a/colour.jpg": drawn(0, 20, 30), "a/grey.jpg": encoded(drawn(1, 20, 30)[..., 0], "JPEG"),
    "b/turned.jpg": turned(drawn(2, 20, 30)),
    "b/see-through.png": np.dstack([drawn(3, 20, 30), drawn(4, 20, 30)[..., 0]]),
    "b/cut.jpg": encoded(drawn(5, 20, 30), "JPEG")[:-60],
}
EXPECTED = {"a/colour.jpg": Header(20, 30, "RGB"), "a/grey.jpg": Header(20, 30, "L"),
            "b/turned.jpg": Header(30, 20, "RGB"), "b/see-through.png": Header(20, 30, "RGBA"),
            "b/cut.jpg": Header(20, 30, "RGB")}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    return plant(tmp_path / "photos", FILES)


def headers(path: Path) -> dict:
    found: dict = {}
    open_dataset(str(path), section=DataSection(group=None), visit=found.update)
    return found


def test_headers_say_size_mode_and_bytes_of_the_files(photos: Path) -> None:
    found = headers(photos)
    assert {name: header for name, (header, _) in found.items()} == EXPECTED
    assert {name: size for name, (_, size) in found.items()} == {
        name: (photos / name).stat().st_size for name in FILES}
    assert headers(photos) == found  # from the cache


def test_headers_in_an_archive_are_the_same(photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in FILES:
            archive.write(photos / name, name)
    assert headers(tmp_path / "photos.zip") == headers(photos)


def test_images_that_are_arrays_have_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8, 3), np.uint8), labels=np.arange(4) % 2)
    assert headers(tmp_path / "a.npz") == {}
