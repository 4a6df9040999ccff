"""Selects runs that can be compared, and groups runs of one model with several seeds or folds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.comparison.names import names_of
from tenfold.errors import MissingRunError, RunError, UsageError
from tenfold.evaluation.predictions import whole_table
from tenfold.run import Run, State
from tenfold.storage.paths import absent


@dataclass(frozen=True)
class Group:
    """Runs of one recipe with one or more seeds, or with each fold left out in turn, under a unique name."""

    name: str
    runs: tuple[Run, ...]

    @property
    def folds(self) -> int | None:
        """The number of folds of a cross-validation; None for runs that share their test split."""
        return self.runs[0].recipe().data.folds


def found_at(paths: Iterable[Run | str | Path]) -> tuple[list[Run], list[str]]:
    """(the runs at these paths, sentences about paths without a run); a Run stands for itself.

    A path is a run, a study, or a directory of runs and studies; the latter two mean all their runs. Raises
    MissingRunError for a path that does not exist, and for the first path if no path has a run.
    """
    runs, left_out, first = [], [], None
    places = [path if isinstance(path, str | Path) else Run.open(path).path for path in paths]
    for path in places:
        if reason := absent(path, "directory"):
            raise MissingRunError(f"{path}: {reason}; expected a directory with runs, made by `tenfold train`")
    for path in places:
        inside = [] if (Path(path) / "status.json").exists() else _inside(Path(path))
        try:
            runs += inside or [Run.open(path)]
        except RunError as error:
            first = first or error
            left_out.append(_left_out(Path(path), error))
    if first and not runs:
        raise first
    return runs, left_out


def _inside(folder: Path) -> list[Run]:
    studies = [each for each in sorted(folder.glob("*/")) if not (each / "status.json").exists()]
    return [run for each in (folder, *studies) for run in Run.list(each)]


def eligible(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """(runs that can be ranked, sentences about the others); a run given twice counts once."""
    chosen, left_out = [], []
    for run in {run.path.resolve(): run for run in runs}.values():
        reason: str | RunError | None
        try:
            reason = _reason_left_out(run)
        except RunError as error:
            reason = error
        if reason:
            left_out.append(_left_out(run.path, reason))
        else:
            chosen.append(run)
    return _with_all_folds(chosen, left_out)


def _with_all_folds(runs: Sequence[Run], left_out: list[str]) -> tuple[list[Run], list[str]]:
    """The runs without those of cross-validations that lack a fold, which `left_out` then names as well."""
    missing = {run.path: lacks for model in _models(runs) if (lacks := model.missing)
               for same in model.runs.values() for run in same}
    for path, lacks in missing.items():
        left_out.append(_left_out(path, f"its cross-validation lacks fold {', '.join(map(str, lacks))}"))
    return [run for run in runs if run.path not in missing], left_out


def _left_out(path: Path, reason: str | RunError) -> str:
    """The sentence about a run that is left out; its name, not its whole path again, stands before the reason."""
    return f"{path.name} is left out: {str(reason).removeprefix(f'{path}: ').removeprefix(f'{path}{os.sep}')}"


def _reason_left_out(run: Run) -> str | None:
    """Why a run cannot be ranked, or None. Raises RunError if a file needed for the ranking is damaged."""
    state = run.status().state
    if state is not State.FINISHED:
        return f"its status is {state.value!r}; expected 'finished'"
    if not run.has("metrics.json") or "test" not in run.metrics():
        return "it has no test metrics"
    if not run.has("environment.json"):
        return "it has no environment.json"
    run.environment(), run.recipe()  # reports damaged files before anything is ranked
    if run.has("predictions/test.parquet"):
        whole_table(run, "test")
    return None


def comparable(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs grouped by their classes and test images, in the order of the first run of each group."""
    kinds: dict[tuple[str, ...], list[Run]] = {}
    key = _told_apart_by(runs)
    for run in runs:
        kinds.setdefault(tuple(_evaluated_on(run, key).values()), []).append(run)
    return list(kinds.values())


def require_comparable(runs: Sequence[Run]) -> None:
    """Raise UsageError if runs were evaluated on other classes or images than the first."""
    key = _told_apart_by(runs)
    first, problems = _evaluated_on(runs[0], key), []
    for run in runs[1:]:
        own = _evaluated_on(run, key)
        different = [f"{name} ({_shown(run, name, own)}, not {_shown(runs[0], name, first)})"
                     for name in first if own[name] != first[name]]
        if different:
            problems.append(f"{run.name} has other {' and other '.join(different)}")
    if problems:
        raise UsageError(f"runs with different test images cannot be compared; unlike {runs[0].name}, "
                         f"{'; '.join(problems)}; expected the same classes and test images: leave out "
                         "some runs, or train them with the same [data] section")


def _shown(run: Run, name: str, of: Mapping[str, str]) -> str:
    text = f"{run.environment().get('dataset', {}).get('name', 'unknown')} {of[name]}" if name == "data" else of[name]
    return text if len(text) <= 80 else f"{text[:80]}…"


def _told_apart_by(runs: Sequence[Run]) -> str:
    """The recorded hash of the test images that all runs have: those of earlier versions have no identity."""
    tests = (run.environment().get("dataset", {}).get("splits", {}).get("test", {}) for run in runs)
    return "identity" if all("identity" in facts for facts in tests) else "fingerprint"


def _evaluated_on(run: Run, key: str) -> dict[str, str]:
    """What must be equal for two runs to be comparable, as text for messages. key: "identity" or "fingerprint"."""
    dataset, section = run.environment().get("dataset", {}), run.recipe().data
    facts, count = dataset.get("splits", {}).get("test", {}), run.metrics()["test"].get("count")
    images = str(facts.get("fold_of") or facts.get(key, "unknown"))
    words = f"{count:,} of them" if count is not None else "an unknown number"
    return {
        "classes": ", ".join(dataset.get("classes", ())),
        "test images": f"in {section.folds} folds, seed {section.seed}" if section.folds else words,
        "data": images[:12],
    }


def grouped(runs: Sequence[Run]) -> tuple[list[Group], list[str]]:
    """(groups in the order of their first runs, sentences about runs that repeat another run).

    Runs are in the same group if their data are equal and their recipes differ only in `train.seed`, or only in
    `data.fold`. If groups have recipes of the same name, their names include the differences.
    """
    models = _models(runs)
    groups, repeated = [], []
    for name, model in zip(names_of([model.recipe for model in models]), models, strict=True):
        numbers = sorted(model.runs) if model.folds else list(model.runs)  # folds in order, so that images are paired
        groups.append(Group(name, tuple(model.runs[number][0] for number in numbers)))
        unit = "fold" if model.folds else "seed"
        repeated += [f"{run.name} is left out: it repeats {first.name} (same recipe, same {unit} {number})"
                     for number, (first, *others) in model.runs.items() for run in others]
    return groups, repeated


@dataclass(frozen=True)
class _Model:
    """A recipe and its data by dotted key, and its runs by seed or, of a cross-validation, by the fold left out."""

    recipe: dict[str, Any]
    folds: int | None
    runs: dict[int, list[Run]]

    @property
    def missing(self) -> list[int]:
        """The folds without a run."""
        return sorted(set(range(1, (self.folds or 0) + 1)) - set(self.runs))


def _models(runs: Sequence[Run]) -> list[_Model]:
    """The runs by model, in the order of the first run of each."""
    models: dict[str, _Model] = {}
    key = _told_apart_by(runs)
    for run in runs:
        environment, recipe = run.environment(), run.recipe()
        dataset = environment.get("dataset", {})
        fold_of = dataset.get("splits", {}).get("test", {}).get("fold_of")
        images = fold_of or dataset.get(key, environment.fingerprint)
        tree = _flat(recipe.to_dict()) | {"data": images[:12]}
        number = tree.pop("data.fold" if recipe.data.folds else "train.seed")
        model = models.setdefault(repr(sorted(tree.items())), _Model(tree, recipe.data.folds, {}))
        model.runs.setdefault(number, []).append(run)
    return list(models.values())


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
