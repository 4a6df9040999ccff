"""Studies: a list of models, each trained with one or more seeds on the same data, and their comparison.

A study is a TOML file (the shipped ones lie in `tenfold/studies/`). Its state is its runs: going on with an
interrupted study means looking which runs are there.
"""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tenfold import jobs, machine
from tenfold.comparison import Leaderboard, compare, csv_text, write_html
from tenfold.errors import RecipeError, RunError, StorageError, TenfoldError, UsageError
from tenfold.evaluation.metrics import metric
from tenfold.jobs.own_data import with_source
from tenfold.progress import Watcher
from tenfold.progress.notebook import default_watcher
from tenfold.recipe import Recipe, text
from tenfold.recipe.overrides import overridden
from tenfold.recipe.validation_errors import explain
from tenfold.run import ELSEWHERE, Run, State, check_name, make_numbered, numbers
from tenfold.shipped import text_of, texts
from tenfold.storage.files import write_whole


class Entry(BaseModel):
    """One model: a recipe's name or file with changes, or a recipe's sections written out."""

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
        """What the model is called: its runs are named after it."""
        return self.name or (self.recipe and Path(self.recipe.removesuffix(".toml")).name) or "unnamed"

    def resolve(self, data: Mapping[str, Any]) -> Recipe:
        """The recipe, with the study's `data` keys before the entry's own. Raises UnknownNameError, RecipeError."""
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
    """The values of a table and of the tables in it, by dotted key: TOML reads `train.epochs = 3` as nested tables."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _by_key(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


class Study(BaseModel):
    """What is compared: models, on which data, with how many seeds, ranked by which metric."""

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
            study = cls.model_validate({"name": name, "title": _title(content), **tomllib.loads(content)})
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RecipeError(f"study {name}", [f"no valid TOML: {error}"]) from None
        except ValidationError as error:
            raise RecipeError(f"study {name}", explain(error, cls)) from None
        check_name(study.name)
        metric(study.by)
        return study


@dataclass(frozen=True)
class Outcome:
    """What a study came to: its directory, leaderboard and page, and sentences on models that could not run."""

    path: Path
    board: Leaderboard
    page: Path
    skipped: tuple[str, ...]


def shipped_studies() -> dict[str, str]:
    """The studies that come with Tenfold: name → TOML text."""
    return texts("studies")


def titles() -> dict[str, str]:
    """What each shipped study is: name → one line."""
    return {name: _title(text) for name, text in shipped_studies().items()}


def read(name_or_path: str | Path) -> tuple[str, str]:
    """(name, TOML text) of a shipped study or of a file. Raises UnknownNameError, UsageError."""
    return text_of("study", "studies", name_or_path)


def _title(text: str) -> str:
    lines = text.splitlines()
    comment = lines[: next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))]
    return " ".join(line.removeprefix("#").strip() for line in comment)


def conduct(study: Study | str | Path, data: str | None = None, seeds: int | None = None, *, by: str | None = None,
            runs: str | Path = "runs", resume: bool = False, overrides: Sequence[str] = (),
            watcher: Watcher | None = None) -> Outcome:
    """Train and evaluate what a study lists, first every model with the first seed, and write the comparison.

    The runs, `comparison.html`, `.json` and `.csv` go into `<runs>/<study>-<data>-<number>/`: a new one or,
    with `resume`, the last one if there is one, where finished runs are kept, begun ones resumed and missing
    ones made. `overrides` are `key=value` for the recipes of all models. A model that can't be had or trained is
    skipped and named. Raises UsageError if none can, or if
    what the study lists is not right, before anything is made; StorageError.
    """
    watcher = watcher or default_watcher()
    machine.check()
    study = study if isinstance(study, Study) else Study.load(study)
    metric(by or study.by)
    recipes = _recipes(study, data, overrides)
    folder = _folder(Path(runs), f"{study.name}-{_data_name(recipes)}", resume)
    failed: dict[tuple[str, str], list[str]] = {}
    made = _made(folder, recipes, watcher)
    finished: list[Run] = []
    rounds = zip(*(jobs.seeds(recipe, seeds or study.seeds) for recipe in recipes), strict=True)
    planned = [recipe for of_one_seed in rounds for recipe in of_one_seed]
    for recipe in planned:
        try:
            finished.append(_run_of(recipe, made.get(recipe.dumps()), folder, watcher))
        except StorageError:
            raise
        except TenfoldError as error:
            reason = _in_one_line(error)
            failed.setdefault((recipe.name, reason), []).append(str(recipe.train.seed))
            watcher.notice(f"{recipe.name} (seed {recipe.train.seed}) is skipped: {reason}")
    skipped = tuple(f"{name} (seed{'s' * (len(those) > 1)} {', '.join(those)}) is skipped: {reason}"
                    for (name, reason), those in failed.items())
    if not finished:
        with contextlib.suppress(OSError):
            folder.rmdir()  # if it is empty
        raise UsageError("; ".join([f"study {study.name}: none of its models could be trained", *skipped]))
    asked = {recipe.dumps() for recipe in planned}
    others = [run.name for text, run in made.items() if text not in asked]
    old = (f"{', '.join(others)}: in {folder.name} too, and not of what the study asks for now",) if others else ()
    board = compare(finished, by or study.by)
    board = Leaderboard(board.rows, board.by, (*skipped, *old, *board.left_out), board.pairs)
    return Outcome(folder, board, _write(board, folder), skipped)


def _recipes(study: Study, data: str | None, overrides: Sequence[str] = ()) -> list[Recipe]:
    """The recipes of a study, on one data set. Raises UsageError for what can't be meant."""
    recipes, wrong = [], []
    for entry in study.models:
        try:
            check_name(entry.title)
            recipes.append(text.recipe(entry.resolve(study.data).to_dict(), overrides, name=entry.title))
        except UsageError as error:
            wrong.append(f"{entry.title}: {_in_one_line(error)}")
    if wrong:
        raise UsageError("; ".join([f"study {study.name}: not all of its models are right", *wrong]))
    names = [recipe.name for recipe in recipes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"study {study.name}: {', '.join(twice)}: the name of more than one model; give each its "
                         "`name`, or `seeds` for more runs of one")
    sources = dict.fromkeys(recipe.data.source for recipe in recipes)
    if data is None and len(sources) > 1:
        raise UsageError(f"study {study.name}: its recipes are on different data ({', '.join(sources)}); give --data")
    return [with_source(recipe, data or next(iter(sources))) for recipe in recipes]


def _in_one_line(error: TenfoldError) -> str:
    return " ".join(str(error).split())


def _data_name(recipes: list[Recipe]) -> str:
    return recipes[0].data.source.partition(":")[0]


def _folder(runs: Path, name: str, resume: bool) -> Path:
    """The directory of the study: with `resume` the last one, if there is one; else the next free number."""
    there = numbers(runs, name)
    return runs / f"{name}-{there[-1]}" if resume and there else make_numbered(runs, name)


def _made(folder: Path, recipes: list[Recipe], watcher: Watcher) -> dict[str, Run]:
    """Runs of a study by the text of their recipes; damaged ones are passed over.

    Raises UsageError if they are on another data set.
    """
    found, source = {}, recipes[0].data.source
    for run in Run.list(folder):
        try:
            recipe = run.recipe()
        except RunError as error:
            watcher.notice(f"{run.name} is passed over: {_in_one_line(error)}")
            continue
        if recipe.data.source != source:
            raise UsageError(f"{folder}: its runs are on {recipe.data.source}, not on {source}; go on with --data "
                             f"{recipe.data.source}, or leave out --resume to begin anew")
        found[recipe.dumps()] = run
    return found


def _run_of(recipe: Recipe, made: Run | None, folder: Path, watcher: Watcher) -> Run:
    """The finished run of a recipe: the one that is there, resumed if it has to be, or a new one."""
    if made is None:
        return jobs.train(recipe, runs=folder, name=recipe.name, watcher=watcher)
    if made.status().state is State.FINISHED:
        watcher.notice(f"{made.name}: is finished")
        return made
    return jobs.resume(made, watcher=watcher)


def _write(board: Leaderboard, folder: Path) -> Path:
    write_whole(folder / "comparison.json", json.dumps(board.to_dict(), indent=2, ensure_ascii=False) + "\n",
                ELSEWHERE)
    write_whole(folder / "comparison.csv", csv_text(board), ELSEWHERE)
    return write_html(board, folder / "comparison.html")
