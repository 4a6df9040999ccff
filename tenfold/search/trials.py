"""The trials of a search: claimed by one process each, trained as ordinary runs, told to the sampler.

A trial that is running in the storage belongs to the process that holds the lock of its run. If no process holds it,
the former one was interrupted or killed: the next process to claim a trial takes it, under its number, and continues
its run. The run holds the truth, and the storage is told what the run says.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from tenfold.data.dataset import Dataset
from tenfold.errors import DivergedError, RecipeError, StorageError, first_line
from tenfold.interrupt import Interrupt
from tenfold.jobs.job import Interruptible, Job, Pruned
from tenfold.jobs.resuming import continue_run
from tenfold.progress import Together, Watcher
from tenfold.run import Run, State
from tenfold.search.plan import SearchPlan
from tenfold.search.pruners import pruner
from tenfold.search.reports import Quiet, Reports
from tenfold.search.samplers import sampler, suggest
from tenfold.search.storage import close, open_storage, patiently
from tenfold.storage.locks import locked

JOURNAL = "journal.log"
TOLD = {State.FINISHED: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.DIVERGED: TrialState.PRUNED}


@dataclass(frozen=True)
class Claim:
    """A trial that this process may train, and its run, whose lock it holds."""

    trial: Trial
    run: Run


class Trials:
    """The trials in the directory of a search, in a journal there or at a PostgreSQL `url`.

    A context that closes the storage. Raises RunError if the directory has no plan, StorageError if the storage can't
    be read.
    """

    def __init__(self, folder: Path, url: str | None, watcher: Watcher) -> None:
        self.folder, self.plan, self.watcher = folder, SearchPlan.read(folder), watcher
        self.start, self.space = self.plan.start, self.plan.ranges
        self._storage = open_storage(folder / JOURNAL, url)
        self.study = patiently(partial(
            optuna.create_study, study_name=self.plan.study, storage=self._storage, direction=self.plan.direction,
            sampler=sampler(self.plan.sampler, self.plan.seed, self.space, self.start),
            pruner=pruner(self.plan.pruner, self.start.train.all_epochs), load_if_exists=True), watcher)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close(self._storage)

    def all(self) -> list[FrozenTrial]:
        """All trials in the storage, by number."""
        return patiently(lambda: self.study.get_trials(deepcopy=False), self.watcher)

    def run_of(self, trial: FrozenTrial | Trial) -> Run:
        """The run of a trial; it need not exist."""
        return Run(self.folder / "trials" / f"trial-{trial.number + 1}")

    def is_running(self, trial: FrozenTrial) -> bool:
        """Whether a living process trains the trial."""
        return trial.state is TrialState.RUNNING and self.run_of(trial).is_locked()

    @contextlib.contextmanager
    def claimed(self, limit: int) -> Iterator[Claim | None]:
        """A trial for this process, an interrupted one first; None if all `limit` trials have begun.

        A new trial whose values make no valid recipe fails at once, and the next one is claimed.
        """
        with contextlib.ExitStack() as held:
            claim = None
            with locked(self.folder / ".claim.lock", stop=self.watcher.stop):
                while claim is None and (trial := self._interrupted() or self._new(limit)) is not None:
                    claim = self._prepared(trial, held)
            yield claim

    def _interrupted(self) -> Trial | None:
        left = [trial for trial in self.all() if trial.state is TrialState.RUNNING and not self.is_running(trial)]
        return patiently(lambda: Trial(self.study, left[0]._trial_id), self.watcher) if left else None

    def _new(self, limit: int) -> Trial | None:
        return patiently(self.study.ask, self.watcher) if len(self.all()) < limit else None

    def _prepared(self, trial: Trial, held: contextlib.ExitStack) -> Claim | None:
        """Draw the values that a trial lacks, make its run if there is none, and lock it."""
        run, draw = self.run_of(trial), partial(suggest, trial)
        changes = patiently(lambda: self.space.changes(self.start, draw), self.watcher)
        if not run.path.is_dir():
            try:
                recipe = self.start.replace(changes)
            except RecipeError as error:
                self._tell(trial, TrialState.FAIL, None, status=State.FAILED.value, reason="; ".join(error.problems))
                return None
            Run.create_at(run.path, recipe)
        held.enter_context(run.writing())
        return Claim(trial, run)

    def attempt(self, claim: Claim, dataset: Dataset, interrupt: Interrupt) -> None:
        """Train a claimed trial, or continue it, and tell the storage how it ended.

        Raises KeyboardInterrupt and StorageError; the trial is then continued later. Other errors are its result.
        """
        run, before = claim.run, time.monotonic()
        reports = Reports(claim.trial, self.plan.monitor, self.watcher)
        watcher = Interruptible(Together([Quiet(self.watcher), reports]), interrupt)
        try:
            if _recorded(run) not in TOLD:
                reports.repeat(run)
                continue_run(Job(run.recipe(), dataset, (), watcher, interrupt, tested=False), run)
        except Pruned as decision:
            _end(run, State.PRUNED, str(decision))
        except DivergedError as error:
            _end(run, State.DIVERGED, str(error))
        except StorageError:
            raise
        except Exception as error:  # of this recipe: the search goes on with others
            _end(run, State.FAILED, first_line(error))
        self._settle(claim, time.monotonic() - before)
        shutil.rmtree(run.path / "checkpoints", ignore_errors=True)  # of many trials they would fill the disk

    def _settle(self, claim: Claim, seconds: float) -> None:
        """Tell the storage what the run says."""
        state, reason = _recorded(claim.run), claim.run.status().reason
        told, value = TOLD.get(state, TrialState.FAIL), None
        if state is State.FINISHED:
            entry = claim.run.metrics()["validation"][self.plan.by]
            value = entry["value"]
            if value is None:
                told, state, reason = TrialState.FAIL, State.FAILED, f"{self.plan.by} is undefined: {entry['reason']}"
        self._tell(claim.trial, told, value, status=state.value, reason=reason,
                   seconds=seconds + claim.trial.user_attrs.get("seconds", 0.0))

    def _tell(self, trial: Trial, state: TrialState, value: float | None, **facts: Any) -> None:
        for key, fact in facts.items():
            patiently(partial(trial.set_user_attr, key, fact), self.watcher)
        patiently(lambda: self.study.tell(trial, value, state, skip_if_finished=True), self.watcher)


def _recorded(run: Run) -> State:
    """The state in the file, while this process holds the run's lock."""
    return State(run.read_json("status.json")["status"])


def _end(run: Run, state: State, reason: str) -> None:
    """Record how a run ended, unless its job already did."""
    if _recorded(run) is not state:
        run.write_status(state, reason, epochs=len(run.history()))
