"""The second process that makes reports: it answers the requests of `apart`, one after the other."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from tenfold.progress import Advance, Event, Watcher
from tenfold.registry import METRICS, PLOTS
from tenfold.report.apart import PICTURED, Request
from tenfold.report.files import Files, files
from tenfold.report.html import environment
from tenfold.report.material import Material
from tenfold.report.plots import draw_all, drawn

PARTS = {each.name for each in fields(Material)}


def main() -> None:
    """Answer requests on standard input until it ends, because the other process closed it or died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both processes; the other one decides
    gc.set_threshold(200_000)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer

    def send(kind: str, content: Any) -> None:
        pickle.dump((kind, content), answers)
        answers.flush()

    def ask(part: str, rows: Any) -> np.ndarray:
        send("images", (part, rows))
        found: np.ndarray = pickle.load(sys.stdin.buffer)
        return found

    with contextlib.suppress(Exception):  # what fails here fails again, for a run
        _warm_up()
    drawing = Drawing(ask, _Telling(send))
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        send("done", drawing.answer(request))


def _warm_up() -> None:
    """Draw plots of a small made-up run: the first ones take longest, and the other process needs none yet."""
    epochs = [{"epoch": epoch, "loss": 1 / epoch, "val_loss": 1 / epoch} for epoch in (1, 2)]
    draw_all(Material(epochs, ("0", "1"), {"test": {"confusion_matrix": [[1, 0], [0, 1]]}}))
    for template in ("report.html", "page.js"):
        environment().get_template(template)


@dataclass(frozen=True)
class Elsewhere:
    """Images of the other process, read on access."""

    ask: Callable[[str, Any], np.ndarray]
    part: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        return self.ask(self.part, rows)


@dataclass(frozen=True)
class Noting(Material):
    """A material that notes which of its parts are read."""

    noted: set[str] = field(default_factory=set)

    def __getattribute__(self, name: str) -> Any:
        if name in PARTS:
            self.noted.add(name)
        return super().__getattribute__(name)


class Drawing:
    """Makes reports, and keeps each plot for as long as the parts of the material that it was drawn from stay the same.
    """

    def __init__(self, ask: Callable[[str, Any], np.ndarray], watcher: Watcher) -> None:
        self._ask, self._watcher = ask, watcher
        self._digests: Mapping[str, bytes] = {}
        self._kept: dict[str, tuple[dict[str, bytes], Future[bytes] | None]] = {}

    def answer(self, request: Request) -> Files | None:
        """The files of the report; None for a request without, and if they can't be made here."""
        for registry in (PLOTS, METRICS):
            if not set(request.registered[registry.kind]) <= set(registry.names()):  # the other process has its own
                return None
        self._digests = request.digests()
        parts = {name: self._part(name, pickle.loads(content)) for name, content in request.parts.items()}
        try:
            if request.made is None:
                draw_all(Noting(**parts), draw=self._drawn)
                return None
            run, status = request.made
            return files(run, Noting(**parts), status, self._watcher, self._drawn)
        except Exception:  # the other process tells what is wrong
            return None

    def _part(self, name: str, value: Any) -> Any:
        if name not in PICTURED or value is None:
            return value
        return Elsewhere(self._ask, name, *value[0]), *value[1:]

    def _drawn(self, name: str, material: Material, encoder: Executor) -> Future[bytes] | None:
        """A plot, drawn now or kept from a former request."""
        if name in self._kept:
            read, content = self._kept[name]
            if all(self._digests[part] == digest for part, digest in read.items()):
                return content
        assert isinstance(material, Noting)
        material.noted.clear()
        content = drawn(name, material, encoder)
        self._kept[name] = {part: self._digests[part] for part in material.noted}, content
        return content


class _Telling(Watcher):
    """Tells the other process how far the report is."""

    def __init__(self, send: Callable[[str, Any], None]) -> None:
        self._send = send

    def on(self, event: Event) -> None:
        if isinstance(event, Advance):
            self._send("advance", (event.done, event.total))
