"""Small data sets in the official layouts, a place without Keras' cache, and a server on this machine."""

from __future__ import annotations

import http.server
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

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
    return Access(root, fetch=False, log=lambda line: None, progress=None)


@pytest.fixture
def write_parquet() -> Callable[..., Path]:
    """A function that writes images as PNG in the Hugging Face layout."""

    def write(path: Path, images: np.ndarray, labels: object, column: str = "img") -> Path:
        cells = []
        for image in images:
            buffer = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
            cells.append({"bytes": buffer.getvalue(), "path": None})
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({column: pa.array(cells, kind), "label": pa.array(labels, pa.int64())}), path)
        return path

    return write


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at any path; `mode` says how badly. Keeps the Range header of each request."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = b""
        self.mode = "ranges"  # or plain, stall, silent, drop, missing, misplaced
        self.ranges: list[str | None] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""

    def url(self, name: str = "file.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        content, mode, wanted = self.server.content, self.server.mode, self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and mode != "plain" else 0
        if mode == "silent":
            return time.sleep(1)
        if mode == "missing":
            return self.send_error(404)
        if start >= len(content) > 0:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            first = 0 if mode == "misplaced" else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        broken = mode in ("stall", "drop")
        self.wfile.write(rest[: len(rest) // 2] if broken else rest)
        if mode == "stall":
            self.server.mode = "silent"
            self.wfile.flush()
            time.sleep(1)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()
