"""Selects runs that can be compared, and groups runs of one model with several seeds."""

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
    """Runs of one recipe with one or more seeds, under a unique name."""

    name: str
    runs: tuple[Run, ...]


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
    return chosen, left_out


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
    for run in runs:
        kinds.setdefault(tuple(_evaluated_on(run).values()), []).append(run)
    return list(kinds.values())


def require_comparable(runs: Sequence[Run]) -> None:
    """Raise UsageError if runs were evaluated on other classes or images than the first."""
    first, problems = _evaluated_on(runs[0]), []
    for run in runs[1:]:
        own = _evaluated_on(run)
        different = [f"{name} ({_shown(own[name])}, not {_shown(first[name])})"
                     for name in first if own[name] != first[name]]
        if different:
            problems.append(f"{run.name} has other {' and other '.join(different)}")
    if problems:
        raise UsageError(f"runs with different test images cannot be compared; unlike {runs[0].name}, "
                         f"{'; '.join(problems)}; expected the same classes and test images; leave out some runs")


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def _evaluated_on(run: Run) -> dict[str, str]:
    """What must be equal for two runs to be comparable, as text for messages."""
    dataset = run.environment().get("dataset", {})
    count = run.metrics()["test"].get("count")
    fingerprint = str(dataset.get("splits", {}).get("test", {}).get("fingerprint", "unknown"))
    return {
        "classes": ", ".join(dataset.get("classes", ())),
        "test images": f"{count:,} of them" if count is not None else "an unknown number",
        "data": f"{dataset.get('name', 'unknown')} {fingerprint[:12]}",
    }


def grouped(runs: Sequence[Run]) -> tuple[list[Group], list[str]]:
    """(groups in the order of their first runs, sentences about runs that repeat another run).

    Runs are in the same group if their data are equal and their recipes differ only in `train.seed`. If groups have
    recipes of the same name, their names include the differences.
    """
    groups: dict[str, dict[int, Run]] = {}
    keys: dict[str, dict[str, Any]] = {}
    repeated = []
    for run in runs:
        tree = _flat(run.recipe().to_dict()) | {"data": run.environment().fingerprint[:12]}
        seed = tree.pop("train.seed")
        identity = repr(sorted(tree.items()))
        keys[identity] = tree
        same = groups.setdefault(identity, {})
        if seed in same:
            repeated.append(f"{run.name} is left out: it repeats {same[seed].name} (same recipe, same seed {seed})")
        else:
            same[seed] = run
    names = names_of(list(keys.values()))
    return [Group(name, tuple(same.values())) for name, same in zip(names, groups.values(), strict=True)], repeated


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
