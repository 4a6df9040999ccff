"""Who is told how work goes, and may ask it to stop."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.progress.events import Advance, Event, Notice, PhaseName, Unit


class Watcher:
    """Is told every event, and may ask the work to stop. Override `on`, `stop` or both; by itself it is silent."""

    def on(self, event: Event) -> None:
        """Something happened."""

    def stop(self) -> bool:
        """Whether the work should end. It is asked often: a training stops after the step, as on the first Ctrl-C."""
        return False

    # -- what work calls ------------------------------------------------------------------------------

    def notice(self, text: str) -> None:
        """Tell a sentence worth knowing."""
        self.on(Notice(text))

    def advance(self, phase: PhaseName, done: int, total: int | None, unit: Unit) -> None:
        """Tell how much of a phase is done. Raises KeyboardInterrupt if the work should end."""
        self.on(Advance(phase, done, total, unit))
        stop_if_asked(self)


SILENT = Watcher()


class Together(Watcher):
    """Several watchers as one: all are told, any may ask to stop."""

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
