"""Small data sets in the official layouts, a place without Keras' cache, and a server on this machine."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from drill.server import Server, serving
from tenfold.data.source import Access


@pytest.fixture(autouse=True)
def no_keras_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keras' cache is an empty directory of the test's own: what lies on this machine does not count."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def access(root: Path) -> Access:
    return Access(root, fetch=False)


@pytest.fixture
def write_parquet() -> Callable[..., Path]:
    """A function that writes images as PNG in the Hugging Face layout; `labels` are a column or several by name."""

    def write(path: Path, images: np.ndarray, labels: object, column: str = "img") -> Path:
        cells = []
        for image in images:
            buffer = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
            cells.append({"bytes": buffer.getvalue(), "path": None})
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns = labels if isinstance(labels, dict) else {"label": labels}
        numbers = {name: pa.array(values, pa.int64()) for name, values in columns.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({column: pa.array(cells, kind), **numbers}), path)
        return path

    return write


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running
