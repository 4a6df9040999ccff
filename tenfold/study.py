"""Studies: train a list of models, each with one or more seeds on the same data, and compare them.

A study is a TOML file (the shipped ones are in `tenfold/studies/`). Its only state is its runs: an interrupted study
resumes from the runs in its directory.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tenfold import jobs, machine
from tenfold.arguments import path
from tenfold.comparison import Leaderboard, compare, csv_text, write_html
from tenfold.data import data_name
from tenfold.data.given.values import Data
from tenfold.data.kept import GIVEN
from tenfold.errors import RecipeError, RunError, StorageError, TenfoldError, UsageError
from tenfold.evaluation.metrics import metric
from tenfold.jobs import executors
from tenfold.jobs.own_data import given_once, hand_over, with_source
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import Recipe, text
from tenfold.recipe.overrides import overridden
from tenfold.recipe.toml import parse
from tenfold.recipe.validation_errors import explain
from tenfold.run import ELSEWHERE, Run, State, check_name, check_root, make_numbered, numbers
from tenfold.shipped import text_of, texts
from tenfold.storage.files import write_whole


class Entry(BaseModel):
    """A model of a study: the name or file of a recipe with changes, or the sections of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    recipe: str | None = None
    name: str | None = None
    set: list[str] | dict[str, Any] = []
    data: dict[str, Any] = {}
    model: dict[str, Any] = {}
    train: dict[str, Any] = {}
    evaluate: dict[str, Any] = {}

    @property
    def title(self) -> str:
        """The name of the model, also used for its runs."""
        return self.name or (self.recipe and Path(self.recipe.removesuffix(".toml")).name) or "unnamed"

    def resolve(self, data: Mapping[str, Any]) -> Recipe:
        """The recipe, with the study's `data` keys, then those of the entry. Raises UnknownNameError, RecipeError."""
        own = {"data": {**data, **self.data}, "model": self.model, "train": self.train, "evaluate": self.evaluate}
        tree: dict[str, Any] = Recipe.load(self.recipe).to_dict() if self.recipe else {}
        if "name" in self.model and self.model["name"] != tree.get("model", {}).get("name"):
            tree["model"] = {}
        values = {f"{section}.{key}": value for section, table in own.items() for key, value in table.items()}
        sections, problems = overridden(tree, values)
        if problems:
            raise RecipeError(f"recipe {self.title}", problems)
        words, values = ([], _by_key(self.set)) if isinstance(self.set, dict) else (self.set, {})
        return text.recipe({**sections, "name": self.title}, words, values, name=self.title)


def _by_key(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested tables by dotted key, because TOML reads `train.epochs = 3` as nested tables."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        nested = isinstance(value, Mapping) and value and f"{prefix}{key}" != "train.class_weights"
        found |= _by_key(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


class Study(BaseModel):
    """A study: the models to compare, the data, the number of seeds, and the metric `by` which they are ranked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str = ""
    by: str = "roc_auc"
    seeds: int = Field(1, ge=1, le=1000)
    data: dict[str, Any] = {}
    models: list[Entry] = Field(min_length=1)

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """A shipped study by name or a TOML file by path. Raises UnknownNameError, RecipeError, UsageError."""
        name, content = read(name_or_path)
        try:
            study = cls.model_validate({"name": name, "title": _title(content), **parse(content)})
        except ValidationError as error:
            raise RecipeError(f"study {name}", explain(error, cls)) from None
        except ValueError as error:
            raise RecipeError(f"study {name}", [str(error)]) from None
        check_name(study.name)
        metric(study.by)
        return study


@dataclass(frozen=True)
class Outcome:
    """The result of a study: its directory, leaderboard and page, and a sentence for each model that was skipped."""

    path: Path
    board: Leaderboard
    page: Path
    skipped: tuple[str, ...]


def shipped_studies() -> dict[str, str]:
    """The studies that come with Tenfold: name → TOML text."""
    return texts("studies")


def titles() -> dict[str, str]:
    """The description of each shipped study: name → one line."""
    return {name: _title(text) for name, text in shipped_studies().items()}


def read(name_or_path: str | Path) -> tuple[str, str]:
    """(name, TOML text) of a shipped study or a file. Raises UnknownNameError, UsageError."""
    return text_of("study", "studies", name_or_path)


def _title(text: str) -> str:
    lines = text.splitlines()
    comment = lines[: next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))]
    return " ".join(line.removeprefix("#").strip() for line in comment)


def conduct(study: Study | str | Path, data: Data | None = None, seeds: int | None = None, *, by: str | None = None,
            runs: str | Path = "runs", resume: bool = False, overrides: Sequence[str] = (),
            workers: int | None = None, on: str | None = None, watcher: Watcher | None = None) -> Outcome:
    """Train and evaluate the models of a study, all models with the first seed first, and write the comparison.

    study: a Study, the name of a shipped one or a TOML file; data: as for `train`; seeds: how many for each model; by:
    the metric to rank by (both default to the study's). Images given as values are kept once, in the directory of the
    study, for all of its runs. The runs, `comparison.html`, `.json` and `.csv` go into a new directory
    `<runs>/<study>-<data>-<number>/`. With `resume`, the last such directory is used, if there is one: finished runs
    are kept, unfinished runs are resumed and missing runs are created. `overrides` are `key=value` words for the
    recipes of all models. `workers` processes train at a time and share the threads (default: one); training times are
    then not those of a training alone. on: `ray` or the address of a Ray cluster that trains the models, by default one
    on each of its cores. A model that can't be trained is skipped and named.

    Raises UsageError if the study is invalid, before anything is written, or if no model could be trained;
    StorageError.
    """
    watcher = chosen_watcher(watcher)
    machine.check()
    study = study if isinstance(study, Study) else Study.load(path("study", study))
    metric(by or study.by)
    check_root(path("runs", runs))
    recipes = _recipes(study, data if data is None or isinstance(data, str | Path) else GIVEN, overrides)
    given = None
    if data is not None and not isinstance(data, str | Path):
        given = given_once(max(recipes, key=lambda each: each.model.image_size or 0), data, watcher)
        recipes = [with_source(recipe, given.uri) for recipe in recipes]
    name = data_name(recipes[0].data.source) if given is None else given.name
    workers = executors.chosen_workers(workers, on)
    folder = _folder(Path(runs), f"{study.name}-{name}", resume)
    handed = None if given is None else hand_over(given, folder)
    existing = _existing_runs(folder, recipes, watcher)
    rounds = zip(*(jobs.seeds(recipe, seeds or study.seeds) for recipe in recipes), strict=True)
    planned = [recipe for one_round in rounds for recipe in one_round]
    calls = [partial(_finished_run, recipe, existing.get(recipe.dumps()), folder, handed) for recipe in planned]
    outcomes: dict[int, Run | TenfoldError] = {}
    for index, outcome in executors.run_all(calls, workers, watcher, on):
        if isinstance(outcome, StorageError):
            raise outcome
        if isinstance(outcome, TenfoldError):
            recipe = planned[index]
            watcher.notice(f"{recipe.name} (seed {recipe.train.seed}) is skipped: {_in_one_line(outcome)}")
        outcomes[index] = outcome
    finished = [outcome for _, outcome in sorted(outcomes.items()) if isinstance(outcome, Run)]
    skipped = _skipped(planned, outcomes)
    if not finished:
        with contextlib.suppress(OSError):
            folder.rmdir()  # succeeds only if it is empty
        raise UsageError("; ".join([f"study {study.name}: none of its models could be trained", *skipped]))
    planned_texts = {recipe.dumps() for recipe in planned}
    others = [run.name for text, run in existing.items() if text not in planned_texts]
    old = (f"{', '.join(others)}: in {folder.name}, but not part of the study as it is now",) if others else ()
    board = compare(finished, by or study.by)
    board = Leaderboard(board.rows, board.by, (*skipped, *old, *board.left_out), board.pairs)
    return Outcome(folder, board, _write(board, folder), skipped)


def _skipped(planned: Sequence[Recipe], outcomes: Mapping[int, Run | TenfoldError]) -> tuple[str, ...]:
    """Sentences that name the recipes that could not be trained, with their seeds and the reason."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for index, outcome in sorted(outcomes.items()):
        if isinstance(outcome, TenfoldError):
            recipe = planned[index]
            seeds.setdefault((recipe.name, _in_one_line(outcome)), []).append(str(recipe.train.seed))
    return tuple(f"{name} (seed{'s' * (len(of) > 1)} {', '.join(of)}) is skipped: {reason}"
                 for (name, reason), of in seeds.items())


def _recipes(study: Study, data: str | Path | None, overrides: Sequence[str] = ()) -> list[Recipe]:
    """The recipes of a study, all on one data set. Raises UsageError if the study is invalid."""
    recipes: list[Recipe] = []
    problems: dict[str, list[str]] = {}  # problem → the models that have it
    for entry in study.models:
        try:
            check_name(entry.title)
            recipes.append(text.recipe(entry.resolve(study.data).to_dict(), overrides, name=entry.title))
        except UsageError as error:
            for problem in error.problems if isinstance(error, RecipeError) else (_in_one_line(error),):
                problems.setdefault(problem, []).append(entry.title)
    if problems:
        said = [problem if len(titles) == len(study.models) else f"{', '.join(titles)}: {problem}"
                for problem, titles in problems.items()]
        raise UsageError("; ".join([f"study {study.name}: some of its models are invalid", *said]))
    names = [recipe.name for recipe in recipes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"study {study.name}: {', '.join(twice)}: several models have this name; give each its own "
                         "`name`, or set `seeds` to train one model several times")
    sources = dict.fromkeys(recipe.data.source for recipe in recipes)
    if data is None and len(sources) > 1:
        raise UsageError(f"study {study.name}: its recipes use different data sets ({', '.join(sources)}); expected "
                         "one; give --data")
    return [with_source(recipe, next(iter(sources)) if data is None else data) for recipe in recipes]


def _in_one_line(error: TenfoldError) -> str:
    return " ".join(str(error).split())


def _folder(runs: Path, name: str, resume: bool) -> Path:
    """The directory of the study: with `resume` the last existing one, otherwise a new one with the next number."""
    existing = numbers(runs, name)
    return runs / f"{name}-{existing[-1]}" if resume and existing else make_numbered(runs, name)


def _existing_runs(folder: Path, recipes: list[Recipe], watcher: Watcher) -> dict[str, Run]:
    """The runs in a study's directory by the text of their recipes; damaged runs are skipped.

    Raises UsageError if they use another data set.
    """
    found, source = {}, recipes[0].data.source
    for run in Run.list(folder):
        try:
            recipe = run.recipe()
        except RunError as error:
            watcher.notice(f"{run.name} is skipped: {_in_one_line(error)}")
            continue
        if recipe.data.source != source:
            raise UsageError(f"{folder}: its runs use the data set {recipe.data.source}; received {source}; resume it "
                             f"with --data {recipe.data.source}, or leave out --resume to start a new study")
        found[recipe.dumps()] = run
    return found


def _finished_run(recipe: Recipe, existing: Run | None, folder: Path, data: str | None, watcher: Watcher) -> Run:
    """The finished run of a recipe: the existing one, resumed if necessary, or a new one."""
    if existing is None:
        return jobs.train(recipe, data, runs=folder, name=recipe.name, resume=True, watcher=watcher)  # if it died
    if existing.status().state is State.FINISHED:
        watcher.notice(f"{existing.name} is already finished")
        return existing
    return jobs.resume(existing, watcher=watcher)


def _write(board: Leaderboard, folder: Path) -> Path:
    write_whole(folder / "comparison.json", json.dumps(board.to_dict(), indent=2, ensure_ascii=False) + "\n",
                ELSEWHERE)
    write_whole(folder / "comparison.csv", csv_text(board), ELSEWHERE)
    return write_html(board, folder / "comparison.html")
