"""Downloads that are cut off, killed, falsified or stalled."""

from __future__ import annotations

import hashlib
import random
import signal
import time
from pathlib import Path

from drill import Tally
from drill.server import Server, serving
from drill.training import Ground
from drill.victim import ended, launch
from tenfold.data.fetch import fetch
from tenfold.errors import FetchError

SIZE = 5_000_000
SILENCE = 0.3  # seconds


def cut(ground: Ground, count: int) -> Tally:
    """Interrupt a download at `count` offsets, by hanging up or killing the process in turn; then other faults."""
    draw, tally, directory = random.Random(6), Tally(), ground.place("downloads")
    content = draw.randbytes(SIZE)
    with serving() as server:
        for i in range(count):
            server.content, server.cut_at, server.ranges = content, draw.randrange(1, SIZE), []
            target = directory / f"{i}" / "file.bin"
            problem = (_killed if i % 2 else _hung_up)(server, target)
            tally.add(f"{'killed' if i % 2 else 'hung up'} at {server.cut_at}", problem or _recovers(server, target))
        for mode in ("silent", "stall", "missing"):
            server.content, server.cut_at, server.mode = content, None, mode
            target = directory / mode / "file.bin"
            tally.add(f"a server that is {mode}", _one_line(server, target) or _recovers(server, target))
        for i in range(3):
            target = directory / f"wrong-{i}" / "file.bin"
            tally.add("wrong bytes", _falsified(server, target, draw.randrange(SIZE), content))
    tally.facts.append(f"cut at {count} offsets in a file of {SIZE / 1e6:g} MB; a silent server, a stalling server and "
                       "a 404; wrong bytes from the server and in the partial file")
    return tally


def _hung_up(server: Server, target: Path) -> str | None:
    """The server hangs up at `cut_at` in every request."""
    server.mode = "cut"
    return _one_line(server, target)


def _killed(server: Server, target: Path) -> str | None:
    """The process is killed while it waits for the bytes after `cut_at`."""
    server.mode = "stall"
    process = launch(fetch, server.url(), target, _sha(server.content))
    while not server.ranges or server.mode != "silent":
        time.sleep(0.005)
    time.sleep(0.05)
    process.kill()
    code = ended(process)
    return None if code == -signal.SIGKILL and not target.exists() else f"exit code {code}"


def _one_line(server: Server, target: Path) -> str | None:
    """Download and expect a failure with one line; None if so, else the problem."""
    try:
        fetch(server.url(), target, _sha(server.content), timeout=SILENCE)
    except FetchError as error:
        return None if "\n" not in str(error) and not target.exists() else f"said {error}"
    return "it was accepted"


def _recovers(server: Server, target: Path) -> str | None:
    """Start again: expect the right file, no byte requested twice, no other file; None if so, else the problem."""
    part = target.with_name("file.bin.part")
    have, server.mode, server.ranges = part.stat().st_size if part.exists() else 0, "ranges", []
    fetch(server.url(), target, _sha(server.content), timeout=5)
    if target.read_bytes() != server.content:
        return "a wrong file was accepted"
    if server.ranges != [f"bytes={have}-" if have else None]:
        return f"asked for {server.ranges} having {have} bytes"
    left = sorted(path.name for path in target.parent.iterdir())
    return None if left == ["file.bin"] else f"left {left}"


def _falsified(server: Server, target: Path, offset: int, content: bytes) -> str | None:
    """One byte is wrong, in the server's answer or in the partial file."""
    wrong = content[:offset] + bytes([content[offset] ^ 255]) + content[offset + 1:]
    expected = _sha(content)
    server.content, server.mode = wrong, "ranges"
    target.parent.mkdir(parents=True)
    for _ in range(2):  # first the whole file; then a partial file that the server completes correctly
        try:
            fetch(server.url(), target, expected, timeout=5)
            return "a wrong file was accepted"
        except FetchError as error:
            if list(target.parent.iterdir()) or "\n" in str(error):
                return f"left {list(target.parent.iterdir())}"
        target.with_name("file.bin.part").write_bytes(wrong[: offset + 1])
        server.content = content
    target.with_name("file.bin.part").unlink(missing_ok=True)
    return _recovers(server, target)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
