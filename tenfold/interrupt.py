"""Ctrl-C and SIGTERM: during training, the first signal saves and stops; the second stops immediately.

Everywhere else, both raise an exception, so that half-written files are removed.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """A process received SIGTERM."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """A context in which SIGTERM raises Terminated; outside the main thread it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


class Interrupt:
    """A context in which SIGINT and SIGTERM raise KeyboardInterrupt; inside `deferred`, only the second signal does.

    Outside the main thread the context does nothing, because signals can't be handled there.
    """

    def __init__(self) -> None:
        self.requested = False
        self._deferring = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._handle) for each in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """A context for work that is saved before it stops: the first signal sets `requested`.

        The end of the context then raises KeyboardInterrupt; a second signal raises it immediately.
        """
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self.requested:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested or not self._deferring:
            raise KeyboardInterrupt
        self.requested = True
