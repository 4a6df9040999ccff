"""A cache of decoded images of the test's own, and a function that opens own images."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_images import access
from PIL import Image

from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of decoded images, empty."""
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture(scope="session")
def photographs(real_data: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first 600 test images of the real CIFAR-10, uint8 [600, 32, 32, 3], and their labels, int64 [600]."""
    file = next((real_data / "cifar10").rglob("test-*.parquet"))
    rows = pq.read_table(file, columns=["img", "label"]).slice(0, 600)
    images = [np.asarray(Image.open(io.BytesIO(cell["bytes"]))) for cell in rows["img"].to_pylist()]
    return np.stack(images), rows["label"].to_numpy()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Dataset]:
    """A function that opens a path or URI with keys of `[data]`."""

    def opened(uri: str | Path, **keys: object) -> Dataset:
        return open_dataset(str(uri), tmp_path, section=access(tmp_path, **keys).section)

    return opened
