"""A cache of decoded images of the test's own, and a function that opens own images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_images import access

from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of decoded images, empty."""
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Dataset]:
    """A function that opens a path or URI with keys of `[data]`."""

    def opened(uri: str | Path, **keys: object) -> Dataset:
        return open_dataset(str(uri), tmp_path, section=access(tmp_path, **keys).section)

    return opened
