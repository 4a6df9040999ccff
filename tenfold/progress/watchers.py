"""Watchers receive progress events and may ask the work to stop."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.progress.events import Advance, Event, Notice, PhaseName, Unit


class Watcher:
    """Receives every event and may ask the work to stop. Override `on`, `stop` or both; the base class is silent."""

    def on(self, event: Event) -> None:
        """Handle an event."""

    def stop(self) -> bool:
        """Whether the work should stop. Called often; training stops after the current step, as on Ctrl-C."""
        return False

    # -- called by the work ---------------------------------------------------------------------------

    def notice(self, text: str) -> None:
        """Report a message for the user."""
        self.on(Notice(text))

    def advance(self, phase: PhaseName, done: int, total: int | None, unit: Unit) -> None:
        """Report the progress of a phase. Raises KeyboardInterrupt if the work should stop."""
        self.on(Advance(phase, done, total, unit))
        stop_if_asked(self)


SILENT = Watcher()


class Together(Watcher):
    """Several watchers as one: all receive every event, and any of them may ask to stop."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = tuple(watchers)

    def on(self, event: Event) -> None:
        for watcher in self.watchers:
            watcher.on(event)

    def stop(self) -> bool:
        return any(watcher.stop() for watcher in self.watchers)


def stop_if_asked(watcher: Watcher) -> None:
    """Raise KeyboardInterrupt if the watcher asks the work to stop."""
    if watcher.stop():
        raise KeyboardInterrupt
