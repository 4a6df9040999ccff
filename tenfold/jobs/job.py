"""A training job, and its plan once the recipe, the data and the disk have been checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.data import kept
from tenfold.data.dataset import Dataset
from tenfold.errors import UsageError
from tenfold.interrupt import Interrupt
from tenfold.progress import Event, Watcher
from tenfold.recipe import Recipe

if TYPE_CHECKING:
    from tenfold.models.summary import Summary
    from tenfold.report.apart import Apart


@dataclass(frozen=True)
class Job:
    """A recipe to train on a prepared data set, and how to report it.

    callbacks: `keras.callbacks.Callback`s; watcher: also asks the job to stop after an interrupt; csv: also write the
    predictions as CSV; h5: also write the model as HDF5; learning_curve: also measure what more images would bring;
    tested: False ends the run after validation, without its test score and report, because the run only serves to
    choose a recipe; keep: the images that the run has to keep; ranks: the number of processes that fit the model
    together, each on a share of every batch; min_ranks: the fewest, if a cluster has no room for all; on: the Ray
    cluster where they do so (see `executors`), None: here; apart: a second process that makes the report, None: this
    one makes it.
    """

    recipe: Recipe
    dataset: Dataset
    callbacks: Sequence[Any]
    watcher: Watcher
    interrupt: Interrupt
    csv: bool = False
    h5: bool = False
    learning_curve: bool = False
    tested: bool = True
    keep: Dataset | None = None
    ranks: int = 1
    min_ranks: int = 1
    on: str | None = None
    apart: Apart | None = None


class Pruned(Exception):  # noqa: N818  (a decision, not an error)
    """A watcher ends a training early, because its recipe is not among the best so far."""


def listed(callbacks: Any) -> list[Any]:
    """One callback, or a list of them, as a list. Raises UsageError for anything that is no Keras callback."""
    found = [] if callbacks is None else list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    for each in found:
        if not hasattr(each, "on_epoch_end") or isinstance(each, type):
            kind = f"the class {each.__name__}" if isinstance(each, type) else f"a {type(each).__name__}"
            raise UsageError(f"callbacks: received {kind}; expected a keras.callbacks.Callback, or a list of them")
    return found


class Interruptible(Watcher):
    """A watcher that also asks the work to stop after an interrupt."""

    def __init__(self, watcher: Watcher, interrupt: Interrupt) -> None:
        self._watcher, self._interrupt = watcher, interrupt

    def on(self, event: Event) -> None:
        self._watcher.on(event)

    def stop(self) -> bool:
        return self._interrupt.requested or self._watcher.stop()


@dataclass(frozen=True)
class Plan:
    """The size of the network to train, the origin of its initial weights, and its teacher."""

    summary: Summary
    origin: dict[str, Any]

    @classmethod
    def of(cls, job: Job, directory: Path, already: int = 0) -> Plan:
        """Check a job and its disk space in `directory`, where it already takes `already` bytes, and plan it.

        Downloads missing published weights. Raises a TenfoldError before anything is written.
        """
        from tenfold.models import obtain, origin
        from tenfold.models.summary import Summary
        from tenfold.training import check, distillation, space

        check(job.recipe, job.dataset, job.watcher)
        obtain(job.recipe.model, job.watcher)
        summary = Summary.of(job.recipe.model, job.dataset.shape, len(job.dataset.classes))
        needed = space.needed(job.recipe, job.dataset, summary.parameters) + kept.size(job.keep)
        job.watcher.notice(space.check(directory, max(needed - already, 0)))
        return cls(summary, origin(job.recipe.model) | distillation.origin(job.recipe.train.distillation))
