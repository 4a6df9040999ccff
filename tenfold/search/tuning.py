"""Tune a recipe: search for the recipe with the best validation score, then judge it on the test split."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from tenfold import machine
from tenfold.arguments import whole
from tenfold.counted import counted
from tenfold.data.dataset import Dataset
from tenfold.data.given.values import Data
from tenfold.data.splits import prepare
from tenfold.errors import TenfoldError, UsageError, WorkerError, unknown
from tenfold.evaluation.metrics import metric
from tenfold.interrupt import Interrupt
from tenfold.jobs import executors, in_folds
from tenfold.jobs.job import Interruptible
from tenfold.jobs.own_data import given_once, hand_over, open_data, prepared, value, with_source
from tenfold.jobs.own_model import recipe_of
from tenfold.progress import Watcher, stop_if_asked
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import Recipe
from tenfold.report.plots.search import shown
from tenfold.run import check_name, numbers
from tenfold.search import pruners, samplers, winner
from tenfold.search.plan import SearchPlan, directory
from tenfold.search.results import (
    BEST,
    PAGE,
    best_of,
    commonest_reason,
    page_is_current,
    read,
    refresh_page,
    write,
    write_page,
)
from tenfold.search.space import Space
from tenfold.search.storage import check_reachable, check_url, without_password
from tenfold.search.trials import Trials
from tenfold.storage.locks import locked

PAUSE = 0.5  # seconds between two looks at the trials of other processes
PAGE_SECONDS = 60.0  # between two pages of a running search, because drawing one takes seconds


@dataclass(frozen=True)
class Found:
    """The result of a search: its directory, the content of `search.json`, the best recipe as a file, and the page."""

    path: Path
    results: Mapping[str, Any]
    best: Path
    page: Path


def tune(
    recipe: Any, data: Data | None = None, *, trials: int = 50, minutes: float | None = None,
    by: str = "roc_auc", space: Space | str | Path | None = None, sampler: str = "tpe", pruner: str = "halving",
    folds: int | None = None, workers: int | None = None, final_seeds: int = 3, seed: int = 0,
    runs: str | Path = "runs", name: str | None = None, new: bool = False, storage: str | None = None,
    on: str | None = None, watcher: Watcher | None = None,
) -> Found:
    """Search for the recipe with the best score `by` on the validation split, then judge it on the test split.

    recipe: where the search begins, as for `train`; data: as for `train`, None for the recipe's own (images given as
    values are kept in the directory of the search); trials: number of trials (with `folds`, each trains `folds`
    models); minutes: no trial starts after this many minutes of training; space: ranges of recipe keys, or a file with
    them (default: the space of the recipe's model); sampler: one of `samplers.NAMES`; pruner: one of `pruners.NAMES`;
    folds: train each trial without each of this many folds of the training images, and rank it by the mean score of the
    folds, instead of by the validation split (pruning looks at the first fold only); workers: processes that share the
    threads (default: one for each thread, as far as memory suffices); final_seeds: number of seeds with which the best
    and the original recipe are each trained for the test score; seed: of the sampler; name: the directory is
    `<runs>/<name>-<number>`, by default search-<recipe>-<data set>; new: begin another search, even if there is one;
    storage: URL of a PostgreSQL database instead of a journal in the directory; on: `ray` or the address of a Ray
    cluster that trains the trials, by default one on each of its cores.

    The same call continues an interrupted search: finished trials are kept, interrupted ones continued. A finished
    search is returned as it is. Raises a TenfoldError before anything is written if the input is invalid;
    StorageError; TenfoldError if all trials failed.
    """
    watcher = chosen_watcher(watcher)
    machine.check(watcher.notice)
    metric(by)
    trials, final_seeds = whole("trials", trials, 1), whole("final_seeds", final_seeds, 1)
    seed, workers = whole("seed", seed, 0), None if workers is None else whole("workers", workers, 1)
    if minutes is not None and not minutes > 0:
        raise UsageError(f"minutes: received {minutes}; expected more than 0")
    check_url(storage)
    _check_choice("sampler", sampler, samplers.NAMES)
    _check_choice("pruner", pruner, pruners.NAMES)
    recipe, given = _start(recipe, data, watcher)
    space = space if isinstance(space, Space) else Space.load(recipe, space)
    if recipe.data.folds is not None:
        raise UsageError("a search with folds needs --folds; received data.folds in the recipe: leave it out")
    dataset = _dataset(recipe, given, watcher)
    _check_classes(by, dataset)
    if folds is not None:
        prepare(given or open_data(recipe), in_folds(recipe, folds)[0].data)  # raises errors before anything is written
    name = name or f"search-{recipe.name}-{dataset.name}"
    check_name(name)
    plan = SearchPlan(recipe.to_dict(), space.to_dict(), by, sampler, pruner, seed, dataset.fingerprint(),
                      storage and without_password(storage), folds=folds)
    available = executors.all_workers(on)  # refuses a cluster that can't be reached before anything is written
    if storage is not None and (new or not numbers(Path(runs), name)):
        check_reachable(storage)
    folder = directory(Path(runs), name, plan, new)
    if (before := read(folder)) and before["winner"]:
        return _found_before(folder, before, trials, watcher)
    if given is not None:
        hand_over(given, folder)
    if sampler == "grid":
        trials = len(list(itertools.islice(samplers.combinations(space, recipe), trials)))
    workers = min(workers or available, trials)
    seconds = None if minutes is None else 60 * minutes
    try:
        with Trials(folder, storage, watcher) as search:
            _work_together(search, storage, trials, seconds, workers, on)
            return _finished(search, final_seeds, workers, watcher, on)
    except KeyboardInterrupt:
        watcher.notice(f"repeat the command{' without --new' * new} to continue {folder}")
        raise


def _found_before(folder: Path, results: Mapping[str, Any], trials: int, watcher: Watcher) -> Found:
    """A search that is finished already: its winner was tested, so no trials are added."""
    made = len(results["trials"])
    more = f" and its winner is tested, so no more of the {trials:,} are made" if trials > made else ""
    watcher.notice(f"{folder} is finished after {counted(made, 'trial')}{more}; --new begins another search")
    if not page_is_current(folder):  # the process was killed before it wrote the page
        write_page(folder, results)
    return Found(folder, results, folder / BEST, folder / PAGE)


def _check_classes(by: str, dataset: Dataset) -> None:
    """Raise UsageError if a metric is undefined for the classes of a data set."""
    if (count := len(dataset.classes)) < metric(by).classes:
        raise UsageError(f"by: received {by} for {count} classes; expected a metric that is defined for them; it "
                         f"needs {metric(by).needs}")


def _start(recipe: Any, data: Data | None, watcher: Watcher) -> tuple[Recipe, Dataset | None]:
    """(the recipe with its data set, the images if they were given as values)."""
    recipe, data = recipe_of(recipe, None, data, watcher)
    if data is None or isinstance(data, str | Path):
        return with_source(recipe, recipe.data.source if data is None else data), None
    given = given_once(recipe, data, watcher)
    return with_source(recipe, given.uri), given


def _work_together(search: Trials, storage: str | None, limit: int, seconds: float | None, workers: int,
                   on: str | None) -> None:
    """Work on a search: alone in this process, or several processes side by side, as long as one of them lives."""
    if workers == 1 and on is None:
        work(search, limit, seconds, workers, search.watcher)
        return
    calls = [partial(work_alone, search.folder, storage, limit, seconds, workers)] * workers
    died = 0
    for _, outcome in executors.run_all(calls, workers, search.watcher, on):
        died += isinstance(outcome, WorkerError)
        if isinstance(outcome, WorkerError) and died < workers:
            search.watcher.notice(f"{str(outcome).partition(';')[0]}; the others go on, and take its trial")
        else:
            executors.result(outcome)


def work_alone(folder: Path, storage: str | None, limit: int, seconds: float | None, workers: int, *,
               watcher: Watcher) -> None:
    """`work` in a process of its own."""
    with Trials(folder, storage, watcher) as search:
        work(search, limit, seconds, workers, watcher)


class Datasets:
    """The prepared data sets of the trials; each size of the images is opened once.

    given: the URI of the images that the search was given in Python; None for those of the recipes.
    """

    def __init__(self, given: str | None = None) -> None:
        self._given = given
        self._opened: dict[int | None, Dataset] = {}
        self._prepared: dict[tuple[int | None, int], Dataset] = {}

    def of(self, recipe: Recipe) -> Dataset:
        """The data set with the splits of a recipe; own images are resized when they are read."""
        size, fold = recipe.model.image_size, recipe.data.fold
        if size not in self._opened:
            self._opened[size] = value(recipe, self._given) if self._given else open_data(recipe)
        if (size, fold) not in self._prepared:
            self._prepared[size, fold] = prepare(self._opened[size], recipe.data)
        return self._prepared[size, fold]


def work(search: Trials, limit: int, seconds: float | None, workers: int, watcher: Watcher) -> None:
    """Train trials until `limit` trials have ended; wait for those of other processes.

    seconds: none begins after the search has taken so long; workers: processes that train side by side.
    """
    datasets = Datasets(search.data)
    with Interrupt() as interrupt:
        search.watcher = Interruptible(watcher, interrupt)
        while True:
            with search.claimed(limit if _in_time(search, seconds) else 0) as claim:
                if claim is not None:
                    search.attempt(claim, datasets.of, interrupt, workers)
                    _told(search, claim.trial.number, watcher)
                    continue
            if not any(trial.state is TrialState.RUNNING for trial in search.all()):
                return
            stop_if_asked(search.watcher)
            time.sleep(PAUSE)


def _in_time(search: Trials, seconds: float | None) -> bool:
    """Whether further trials may begin."""
    return seconds is None or search.spent() < seconds


def _told(search: Trials, number: int, watcher: Watcher) -> None:
    """Write the results so far, and say how a trial ended."""
    results = write(search)
    refresh_page(search.folder, results, PAGE_SECONDS)
    row, best = results["trials"][number], results["best"]
    said = metric(search.plan.by).text({"value": row["value"]}) if row["value"] is not None else row["reason"]
    changes = ", ".join(f"{key.rpartition('.')[2]} {shown(value)}" for key, value in row["changes"].items())
    leader = f" (best: trial {best['number']})" if best else ""
    watcher.notice(f"trial {row['number']} {row['status']}: {said}{leader}; {row['seconds'] or 0:.1f} s; {changes}")


def _finished(search: Trials, final_seeds: int, workers: int, watcher: Watcher, on: str | None) -> Found:
    """Judge the best recipe and write the results. Raises TenfoldError if no trial finished."""
    results = write(search)
    best = best_of(results["trials"], search.plan.by)
    if best is None:
        raise TenfoldError(f"{search.folder}: no trial finished; the commonest reason: "
                           f"{commonest_reason(results['trials'])}")
    with locked(search.folder / ".final.lock", stop=watcher.stop):
        before = read(search.folder)
        if not (before and before["winner"]):
            refresh_page(search.folder, results, PAGE_SECONDS)
            runs = winner.train(search, winner.finalists(search, best, final_seeds), workers, watcher, on)
            before = write(search, winner.judge(search, best, runs, len(results["trials"])))
        write_page(search.folder, before)
    return Found(search.folder, before, search.folder / BEST, search.folder / PAGE)


def _dataset(recipe: Recipe, given: Dataset | None, watcher: Watcher) -> Dataset:
    """The data set of a recipe, or the given one, prepared. Raises UsageError without the splits that a search needs.
    """
    from tenfold.training import check

    dataset = prepared(recipe, given, watcher)
    if dataset.validation is None:
        raise UsageError("a search chooses by the validation split, and there is none; expected one: set "
                         "data.validation=0.1")
    if dataset.test is None:
        raise UsageError("a search ends with a score on the test split, and there is none; expected one: set "
                         "data.test=0.2")
    check(recipe, dataset, watcher)
    return dataset


def _check_choice(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(f"{name}: received an {unknown('value', value, known)}")
