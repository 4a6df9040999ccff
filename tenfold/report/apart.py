"""Makes the report of a run in a second process, on a core that would otherwise be idle.

It imports the libraries for plots and pages while this process imports those for training, and draws while this one
still works. It only computes: it asks this process for images and answers with the contents of files, so it may be
killed at any moment. If it can't answer, the report is made in this process. It takes about 130 MB.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tenfold import machine
from tenfold.progress import SILENT, Watcher
from tenfold.registry import METRICS, PLOTS
from tenfold.report.material import Material
from tenfold.run import Run

if TYPE_CHECKING:
    from tenfold.report.files import Files

PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from tenfold.report import drawing; drawing.main()"
LARGEST = 64 << 20  # bytes of a material that is handed over; with more, the start of a process does not matter
PICTURED = ("samples", "validation", "test")  # parts of a material whose images are handed over on request

Made = tuple[Run, Mapping[str, Any]]  # a run, and the status that its page shows


@dataclasses.dataclass(frozen=True)
class Request:
    """What the second process is asked for: the files of a report, or without `made` only that it draws the plots.

    parts: the pickled parts of the material, with (shape, dtype) in the place of images; registered: the names of plots
    and metrics that this process knows.
    """

    parts: Mapping[str, bytes]
    registered: Mapping[str, list[str]]
    made: Made | None

    @classmethod
    def of(cls, material: Material, made: Made | None) -> Self:
        parts = {}
        for each in dataclasses.fields(material):
            value = getattr(material, each.name)
            if each.name in PICTURED and value is not None:
                value = (value[0].shape, value[0].dtype), *value[1:]
            parts[each.name] = pickle.dumps(value)
        return cls(parts, {of.kind: of.registered() for of in (PLOTS, METRICS)}, made)

    def digests(self) -> dict[str, bytes]:
        """What tells whether a part of the material has changed."""
        return {name: hashlib.sha256(content).digest() for name, content in self.parts.items()}


@contextlib.contextmanager
def second_process() -> Iterator[Apart | None]:
    """A second process, which ends with the block; None where there is no core for it, or it can't be started."""
    with contextlib.ExitStack() as held:
        apart = None
        frozen = getattr(sys, "frozen", False)  # then the executable is not Python
        if min(machine.threads(), machine.cores()) > 1 and sys.executable and not frozen:
            with contextlib.suppress(OSError):
                apart = held.enter_context(contextlib.closing(Apart()))
        yield apart


class Apart:
    """A second process that makes reports. Raises OSError if it can't be started."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, sys.path)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._thread = ThreadPoolExecutor(1)  # talks with the process while this one works
        self._prepared: Future[Files | None] | None = None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._thread.shutdown()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        self._process.wait()

    def prepare(self, material: Material) -> None:
        """Have the plots drawn that the material suffices for; they stay valid as far as it does not change."""
        self._prepared = self._thread.submit(self._answer, material, None, SILENT)

    def wait(self) -> None:
        """Wait until all that was asked for is drawn, so that the process needs no core."""
        if self._prepared is not None:
            self._prepared.result()

    def files(self, run: Run, material: Material, status: Mapping[str, Any], watcher: Watcher = SILENT) -> Files | None:
        """The files of a report (see `files.files`); None if the second process can't make them."""
        self.wait()
        return self._answer(material, (run, status), watcher)

    def _answer(self, material: Material, made: Made | None, watcher: Watcher) -> Files | None:
        """Ask the second process, and hand it the images that it needs."""
        try:
            request = Request.of(material, made)
            if sum(map(len, request.parts.values())) > LARGEST:
                return None
            self._send(request)
            while True:
                kind, content = self._received()
                if kind == "images":
                    part, rows = content
                    self._send(np.asarray(getattr(material, part)[0][rows]))
                elif kind == "advance":
                    done, total = content
                    watcher.advance("report", done, total, "pictures")
                else:
                    return content
        except Exception:  # what is wrong with the material or the images is told by making the report here
            self._process.kill()
            return None

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()

    def _received(self) -> tuple[str, Any]:
        assert self._process.stdout is not None
        kind, content = pickle.load(self._process.stdout)
        return kind, content
