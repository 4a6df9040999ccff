"""The trials of a search: claimed by one process each, trained as ordinary runs, told to the sampler.

A trial that is running in the storage belongs to the process that holds the lock of its run. If no process holds it,
the former one was interrupted or killed: the next process to claim a trial takes it, under its number, and continues
its run. The run holds the truth, and the storage is told what the run says. With folds, a trial is one run for each
fold, and the lock is that of the first.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from tenfold.counted import counted
from tenfold.data.dataset import Dataset
from tenfold.errors import DivergedError, RecipeError, RunError, StorageError, first_line
from tenfold.interrupt import Interrupt
from tenfold.jobs.job import Interruptible, Job, Pruned
from tenfold.jobs.own_data import handed_over
from tenfold.jobs.resuming import continue_run
from tenfold.progress import Together, Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run, State
from tenfold.search.plan import SearchPlan
from tenfold.search.pruners import pruner
from tenfold.search.reports import Quiet, Reports
from tenfold.search.samplers import sampler, suggest
from tenfold.search.storage import close, open_storage, patiently
from tenfold.storage.locks import locked

JOURNAL = "journal.log"
MOST_DEATHS = 5  # of the processes of a trial that does not get further; then it failed
TOLD = {State.FINISHED: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.DIVERGED: TrialState.PRUNED}


@dataclass(frozen=True)
class Claim:
    """A trial that this process may train, its recipe, and its first run, whose lock it holds."""

    trial: Trial
    recipe: Recipe
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

    @property
    def data(self) -> str | None:
        """The URI of the images that the search was given in Python; None if its recipe names a data set."""
        return handed_over(self.folder)

    def all(self) -> list[FrozenTrial]:
        """All trials in the storage, by number."""
        return patiently(lambda: self.study.get_trials(deepcopy=False), self.watcher)

    def path_of(self, trial: FrozenTrial | Trial) -> Path:
        """The directory of a trial: a run, or a directory with one for each fold. It need not exist."""
        return self.folder / "trials" / f"trial-{trial.number + 1}"

    def runs_of(self, trial: FrozenTrial | Trial) -> list[Run]:
        """The runs of a trial, which need not exist; the lock of the first is that of the trial."""
        path, folds = self.path_of(trial), self.plan.folds
        return [Run(path)] if folds is None else [Run(path / f"fold-{number}") for number in range(1, folds + 1)]

    def is_running(self, trial: FrozenTrial) -> bool:
        """Whether a living process trains the trial."""
        return trial.state is TrialState.RUNNING and self.runs_of(trial)[0].is_locked()

    def spent(self) -> float:
        """The seconds that the search has taken: of N trials that are trained side by side, each takes an Nth."""
        found = 0.0
        for trial in self.all():
            found += trial.user_attrs.get("spent", 0.0)
            if "began" in trial.user_attrs and self.is_running(trial):
                began, workers = trial.user_attrs["began"]
                found += (time.time() - began) / workers
        return found

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
        """Draw the values that a trial lacks, make its first run if there is none, and lock it."""
        run, draw = self.runs_of(trial)[0], partial(suggest, trial)
        changes = patiently(lambda: self.space.changes(self.start, draw), self.watcher)
        try:
            recipe = self.start.replace(changes)
        except RecipeError as error:
            self._tell(trial, TrialState.FAIL, None, status=State.FAILED.value, reason="; ".join(error.problems))
            return None
        if not run.path.is_dir():
            run.path.parent.mkdir(parents=True, exist_ok=True)
            Run.create_at(run.path, self.plan.in_folds(recipe)[0])
        elif (reason := self._given_up(trial)) is not None:
            self._tell(trial, TrialState.FAIL, None, status=State.FAILED.value, reason=reason)
            return None
        held.enter_context(run.writing())
        return Claim(trial, recipe, run)

    def _given_up(self, trial: Trial) -> str | None:
        """Why an interrupted trial is not continued; None if it is. Counts the deaths of its processes."""
        runs = [run for run in self.runs_of(trial) if run.path.is_dir()]
        if all(_recorded(run) is not State.RUNNING for run in runs):
            return None  # stopped, not killed
        epochs = sum(map(_epochs, runs))
        before, deaths = trial.user_attrs.get("deaths", (-1, 0))
        deaths = deaths + 1 if before == epochs else 1
        patiently(lambda: trial.set_user_attr("deaths", (epochs, deaths)), self.watcher)
        if deaths < MOST_DEATHS:
            return None
        reason = f"its process died {deaths} times after {counted(epochs, 'epoch')}; memory may be short"
        for run in runs:
            if _recorded(run) is State.RUNNING:
                run.write_status(State.FAILED, reason, epochs=_epochs(run))
        return reason

    def attempt(self, claim: Claim, data_of: Callable[[Recipe], Dataset], interrupt: Interrupt, workers: int) -> None:
        """Train a claimed trial, or continue it, and tell the storage how it ended.

        data_of: gives the prepared data set of a recipe; workers: trials that are trained side by side. Raises
        KeyboardInterrupt and StorageError; the trial is then continued later. Other errors are its result.
        """
        before, runs = time.monotonic(), self.runs_of(claim.trial)
        patiently(lambda: claim.trial.set_user_attr("began", [time.time(), workers]), self.watcher)
        try:
            self._train_all(claim, runs, data_of, interrupt)
        except BaseException:
            with contextlib.suppress(Exception):  # the storage may be what failed
                for key, seconds in _taken(claim.trial, before, workers).items():
                    claim.trial.set_user_attr(key, seconds)
            raise
        self._settle(claim, runs, _taken(claim.trial, before, workers))

    def _train_all(self, claim: Claim, runs: Sequence[Run], data_of: Callable[[Recipe], Dataset],
                   interrupt: Interrupt) -> None:
        """Train or continue the runs of a trial one after the other, until one of them does not finish."""
        reports = Reports(claim.trial, self.plan.monitor, self.watcher)
        for run, recipe in zip(runs, self.plan.in_folds(claim.recipe), strict=True):
            with contextlib.ExitStack() as held:
                if run is not runs[0]:
                    if not run.path.is_dir():
                        Run.create_at(run.path, recipe)
                    held.enter_context(run.writing())
                self._train(run, data_of, reports if run is runs[0] else None, interrupt)
                shutil.rmtree(run.path / "checkpoints", ignore_errors=True)  # of many they would fill the disk
                if _recorded(run) is not State.FINISHED:
                    break

    def _train(self, run: Run, data_of: Callable[[Recipe], Dataset], reports: Reports | None,
               interrupt: Interrupt) -> None:
        """Train or continue a run whose lock this process holds; `reports` may end it early."""
        watchers = [Quiet(self.watcher), *([reports] if reports else [])]
        watcher = Interruptible(Together(watchers), interrupt)
        try:
            if _recorded(run) not in TOLD:
                if reports:
                    reports.repeat(run)
                recipe = run.recipe()
                continue_run(Job(recipe, data_of(recipe), (), watcher, interrupt, tested=False), run)
        except Pruned as decision:
            _end(run, State.PRUNED, str(decision))
        except DivergedError as error:
            _end(run, State.DIVERGED, str(error))
        except StorageError:
            raise
        except Exception as error:  # of this recipe: the search goes on with others
            _end(run, State.FAILED, first_line(error))

    def _settle(self, claim: Claim, runs: list[Run], taken: Mapping[str, float]) -> None:
        """Tell the storage what the runs say, and how long they took."""
        ended = [run for run in runs if run.path.is_dir()][-1]
        state, reason = _recorded(ended), ended.status().reason
        told, value = TOLD.get(state, TrialState.FAIL), None
        if self.plan.folds is not None and reason:
            reason = f"{ended.name}: {reason}"
        if state is State.FINISHED:
            split = "validation" if self.plan.folds is None else "test"
            entries = [run.metrics()[split][self.plan.by] for run in runs]
            undefined = [entry["reason"] for entry in entries if entry["value"] is None]
            if undefined:
                told, state, reason = TrialState.FAIL, State.FAILED, f"{self.plan.by} is undefined: {undefined[0]}"
            else:
                value = statistics.mean(entry["value"] for entry in entries)
        self._tell(claim.trial, told, value, status=state.value, reason=reason, **taken)

    def _tell(self, trial: Trial, state: TrialState, value: float | None, **facts: Any) -> None:
        for key, fact in facts.items():
            patiently(partial(trial.set_user_attr, key, fact), self.watcher)
        patiently(lambda: self.study.tell(trial, value, state, skip_if_finished=True), self.watcher)


def _recorded(run: Run) -> State:
    """The state in the file, while this process holds the run's lock."""
    return State(run.read_json("status.json")["status"])


def _taken(trial: Trial, since: float, workers: int) -> dict[str, float]:
    """The seconds of a trial, with those before an interruption, and those that the search took for it (`spent`)."""
    seconds = time.monotonic() - since
    return {key: trial.user_attrs.get(key, 0.0) + more for key, more in (("seconds", seconds),
                                                                         ("spent", seconds / workers))}


def _epochs(run: Run) -> int:
    """The number of recorded epochs; 0 if the history is damaged."""
    with contextlib.suppress(RunError):
        return len(run.history())
    return 0


def _end(run: Run, state: State, reason: str) -> None:
    """Record how a run ended, unless its job already did."""
    if _recorded(run) is not state:
        run.write_status(state, reason, epochs=_epochs(run))
