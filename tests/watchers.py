"""Watchers that tests put beside a training."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tenfold.progress import Event, Notice, Step, Training, Watcher


class Listen(Watcher):
    """Remembers every event, and the text of every notice; asks to stop once `stop_if` of what was said is true."""

    def __init__(self, stop_if: Callable[[list[str]], bool] = lambda said: False) -> None:
        self.events: list[Event] = []
        self.said: list[str] = []
        self._stop_if = stop_if

    def on(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Notice):
            self.said.append(event.text)

    def stop(self) -> bool:
        return self._stop_if(self.said)

    @property
    def trained(self) -> list[str]:
        """The names of the runs whose training began."""
        return [event.run.rpartition("/")[2] for event in self.events if isinstance(event, Training)]


class After(Watcher):
    """Does something each time after one step of one epoch (both from 1)."""

    def __init__(self, epoch: int, step: int, act: Callable[[], object]) -> None:
        self.moment, self.act = (epoch, step), act

    def on(self, event: Event) -> None:
        if isinstance(event, Step) and (event.epoch, event.step) == self.moment:
            self.act()


def at_once() -> None:
    """Leaves at once, as a second Ctrl-C does."""
    raise KeyboardInterrupt


def signalled(number: int = signal.SIGINT) -> Callable[[], None]:
    """A function that sends this process a signal."""
    return lambda: os.kill(os.getpid(), number)


def sizes_inside(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool | None, int]]:
    """A list to which each resizing inside a network from now on adds whether it trains, and the width it gives."""
    from tenfold.models.resizing import Resizing

    seen, call = list[tuple[bool | None, int]](), Resizing.call

    def watched(self: Resizing, x: Any, training: bool | None = None) -> Any:
        found = call(self, x, training)
        seen.append((training, found.shape[-1]))
        return found

    monkeypatch.setattr(Resizing, "call", watched)
    return seen
