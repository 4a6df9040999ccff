"""How work goes: one vocabulary of events, and those who watch.

Work tells a `Watcher` what happens, in frozen events of names and numbers that become JSON as they are. What is shown
is made of them by the watcher: a live bar on a terminal, lines elsewhere, an HTML bar in a notebook, a journal in the
run from which another process can follow.
"""

from tenfold.progress.events import (
    EVENTS,
    Advance,
    Epoch,
    Evaluating,
    Event,
    Finished,
    Notice,
    Step,
    Training,
    from_dict,
    to_dict,
)
from tenfold.progress.watchers import SILENT, Together, Watcher, stop_if_asked

__all__ = ["EVENTS", "SILENT", "Advance", "Epoch", "Evaluating", "Event", "Finished", "Notice", "Step", "Together",
           "Training", "Watcher", "from_dict", "stop_if_asked", "to_dict"]
