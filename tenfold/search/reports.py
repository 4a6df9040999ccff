"""Watchers of a trial: one reports its validation records and prunes it, the other hides the details."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.trial import Trial

from tenfold.counted import counted
from tenfold.jobs.job import Pruned
from tenfold.progress import Advance, Ended, Epoch, Event, Step, Training, Watcher
from tenfold.run import Run
from tenfold.search.storage import patiently


class Reports(Watcher):
    """Reports the validation record of each epoch to the storage. Raises Pruned when the trial is to be ended."""

    def __init__(self, trial: Trial, monitor: str, watcher: Watcher) -> None:
        self._trial, self._monitor, self._watcher = trial, monitor, watcher
        frozen = patiently(lambda: trial.study.get_trials(deepcopy=False), watcher)[trial.number]
        self._reported = set(frozen.intermediate_values)

    def on(self, event: Event) -> None:
        if isinstance(event, Epoch):
            self._report(event.record)

    def repeat(self, run: Run) -> None:
        """Report the epochs of an interrupted run that are not reported yet, and decide again. Raises Pruned."""
        for record in run.history():
            self._report(record)

    def _report(self, record: Mapping[str, float]) -> None:
        epoch, value = int(record["epoch"]), record.get(self._monitor)
        if value is None:
            return
        if epoch not in self._reported:
            patiently(lambda: self._trial.report(value, epoch), self._watcher)
            self._reported.add(epoch)
        if epoch == max(self._reported) and patiently(self._trial.should_prune, self._watcher):
            raise Pruned(f"{self._monitor} {value:.4f} after {counted(epoch, 'epoch')} is not among the best")


class Quiet(Watcher):
    """Passes on how far a training is, but not its epochs and notices, because a search has many trainings."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on(self, event: Event) -> None:
        if isinstance(event, Ended):
            self._watcher.on(Ended(event.run, "ended"))  # the search continues it, whatever its status
        elif isinstance(event, (Training, Step, Advance)):
            self._watcher.on(event)

    def stop(self) -> bool:
        return self._watcher.stop()
