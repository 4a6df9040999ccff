"""A job as a value: what is trained on which data, for whom; and the plan, once it is known that it can be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.data.dataset import Dataset
from tenfold.interrupt import Interrupt
from tenfold.progress import Event, Watcher
from tenfold.recipe import Recipe

if TYPE_CHECKING:
    from tenfold.models.summary import Summary


@dataclass(frozen=True)
class Job:
    """What is trained and reported, on which prepared data, and who is told.

    callbacks: `keras.callbacks.Callback`s; watcher: asks the job to stop after an interrupt as well; csv, h5: also
    write predictions as CSV, the model as HDF5.
    """

    recipe: Recipe
    dataset: Dataset
    callbacks: Sequence[Any]
    watcher: Watcher
    interrupt: Interrupt
    csv: bool = False
    h5: bool = False


class Interruptible(Watcher):
    """A watcher that also asks to stop once an interrupt has asked."""

    def __init__(self, watcher: Watcher, interrupt: Interrupt) -> None:
        self._watcher, self._interrupt = watcher, interrupt

    def on(self, event: Event) -> None:
        self._watcher.on(event)

    def stop(self) -> bool:
        return self._interrupt.requested or self._watcher.stop()


@dataclass(frozen=True)
class Plan:
    """The network that is trained, and where its first weights come from."""

    summary: Summary
    origin: dict[str, Any]

    @classmethod
    def of(cls, job: Job, directory: Path, already: int = 0) -> Plan:
        """The plan of a job that can be done and has room in `directory`, which holds `already` bytes of it.

        Downloads published weights that are missing. Raises a TenfoldError before anything is written.
        """
        from tenfold.models import obtain, origin
        from tenfold.models.summary import Summary
        from tenfold.training import check, space

        check(job.recipe, job.dataset, job.watcher)
        obtain(job.recipe.model, job.watcher)
        summary = Summary.of(job.recipe.model, job.dataset.shape, len(job.dataset.classes))
        needed = space.needed(job.recipe, job.dataset, summary.parameters)
        job.watcher.notice(space.check(directory, max(needed - already, 0)))
        return cls(summary, origin(job.recipe.model))
