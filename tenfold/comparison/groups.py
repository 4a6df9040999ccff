"""Which runs can be compared, and which of them are one model with several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.comparison.names import names_of
from tenfold.errors import RunError, UsageError
from tenfold.evaluation.predictions import whole_table
from tenfold.run import Run, State


@dataclass(frozen=True)
class Group:
    """Runs of one recipe with several seeds; `name` tells it from the other groups."""

    name: str
    runs: tuple[Run, ...]


def found_at(paths: Iterable[str | Path]) -> tuple[list[Run], list[str]]:
    """(the runs at these paths, sentences on paths that hold none); a study, or a folder of both, stands for its runs.

    Raises RunError, for the first path, if there is no run at any.
    """
    runs, left_out, first = [], [], None
    for path in paths:
        inside = [] if (Path(path) / "status.json").exists() else _inside(Path(path))
        try:
            runs += inside or [Run.open(path)]
        except RunError as error:
            first = first or error
            left_out.append(f"{Path(path).name} is left out: {error}")
    if first and not runs:
        raise first
    return runs, left_out


def _inside(folder: Path) -> list[Run]:
    studies = [each for each in sorted(folder.glob("*/")) if not (each / "status.json").exists()]
    return [run for each in (folder, *studies) for run in Run.list(each)]


def eligible(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """(runs that can be ranked, sentences on the others); a run that is given twice counts once."""
    chosen, left_out = [], []
    for run in {run.path.resolve(): run for run in runs}.values():
        try:
            reason = _unfit(run)
        except RunError as error:
            reason = str(error)
        if reason:
            left_out.append(f"{run.name} is left out: {reason}")
        else:
            chosen.append(run)
    return chosen, left_out


def _unfit(run: Run) -> str | None:
    """Why a run can't be ranked; None if it can. Raises RunError if what it is ranked by is damaged."""
    state = run.status().state
    if state is not State.FINISHED:
        return f"its status is {state.value!r}; expected 'finished'"
    if not run.has("metrics.json") or "test" not in run.metrics():
        return "it has no metrics of a test split"
    if not run.has("environment.json"):
        return "it has no environment.json"
    run.environment(), run.recipe()  # to be told of what is damaged before anything is ranked
    if run.has("predictions/test.parquet"):
        whole_table(run, "test")
    return None


def comparable(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs by the classes and test images that they were judged on, in the order of their first runs."""
    kinds: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        kinds.setdefault(tuple(_judged_on(run).values()), []).append(run)
    return list(kinds.values())


def refuse_others(runs: Sequence[Run]) -> None:
    """Raise UsageError if runs were not judged on the classes and images of the first."""
    first, problems = _judged_on(runs[0]), []
    for run in runs[1:]:
        judged = _judged_on(run)
        different = [f"{name} ({_shown(judged[name])}, not {_shown(first[name])})"
                     for name in first if judged[name] != first[name]]
        if different:
            problems.append(f"{run.name} has other {' and other '.join(different)}")
    if problems:
        raise UsageError(f"runs can be compared on the same test images only; unlike {runs[0].name}, "
                         f"{'; '.join(problems)}; leave out one kind or the other")


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def _judged_on(run: Run) -> dict[str, str]:
    """What has to be the same for two runs to be comparable, in words."""
    dataset = run.environment().get("dataset", {})
    count = run.metrics()["test"].get("count")
    fingerprint = str(dataset.get("splits", {}).get("test", {}).get("fingerprint", "unknown"))
    return {
        "classes": ", ".join(dataset.get("classes", ())),
        "test images": f"{count:,} of them" if count is not None else "an unknown number",
        "data": f"{dataset.get('name', 'unknown')} {fingerprint[:12]}",
    }


def grouped(runs: Sequence[Run]) -> tuple[list[Group], list[str]]:
    """(groups in the order of their first runs, sentences on runs that repeat another one).

    Runs are of one group if they saw the same data and their recipes differ in `train.seed` alone. Groups whose
    recipes have one name are told apart by what they differ in.
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
