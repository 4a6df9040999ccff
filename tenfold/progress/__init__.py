"""Progress: events, and the watchers that receive them.

Functions report progress to a `Watcher` as frozen events, which convert to JSON directly. The watcher decides how to
show them: a live bar on a terminal, lines elsewhere, an HTML bar in a notebook. A journal in the run directory lets
another process follow the run.
"""

from tenfold.progress.events import (
    EVENTS,
    Advance,
    Ended,
    Epoch,
    Evaluating,
    Event,
    Notice,
    Step,
    Training,
    from_dict,
    to_dict,
)
from tenfold.progress.watchers import SILENT, Together, Watcher, stop_if_asked

__all__ = [
    "EVENTS",
    "SILENT",
    "Advance",
    "Ended",
    "Epoch",
    "Evaluating",
    "Event",
    "Notice",
    "Step",
    "Together",
    "Training",
    "Watcher",
    "from_dict",
    "stop_if_asked",
    "to_dict",
]
