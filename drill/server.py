"""A local server that works or fails on request."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time
from collections.abc import Iterator


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at any path, or `contents` by path if there are any; `mode` selects the fault.

    Keeps the Range header of each request.

    The modes are ranges (no fault), plain (ignores ranges), misplaced (answers with another range), cut (hangs up
    at `cut_at` bytes of the file, or at half of the requested bytes if that is None), stall (like cut, but goes
    silent for a second instead, and then forever), silent, missing.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = b""
        self.contents: dict[str, bytes] = {}
        self.mode = "ranges"
        self.cut_at: int | None = None
        self.ranges: list[str | None] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what this is about."""

    def url(self, name: str = "file.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        content, mode, wanted = self.server.content, self.server.mode, self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.server.contents:
            content = self.server.contents.get(self.path.strip("/"), b"")
            mode = mode if content else "missing"
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        start = int(found[1]) if found and mode != "plain" else 0
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
        end = len(content)
        if mode in ("stall", "cut"):
            end = (start + end) // 2 if self.server.cut_at is None else self.server.cut_at
        self.wfile.write(content[start:end])
        if mode == "stall":
            self.server.mode = "silent"
            self.wfile.flush()
            time.sleep(1)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A running server."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
