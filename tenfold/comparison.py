"""The leaderboard: runs that were judged on the same test images, best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

from tenfold.errors import UsageError
from tenfold.evaluation.metrics import Metric, metric
from tenfold.registry import METRICS
from tenfold.run import Run, write_whole

TITLES = {
    "loss": "loss", "accuracy": "accuracy", "precision_macro": "precision", "recall_macro": "recall",
    "f1_macro": "F1", "roc_auc": "ROC-AUC",
}


@dataclass(frozen=True)
class Row:
    """One run: what was trained, and what the test split says of it.

    metrics: name → {"value", "low", "high"} (None where undefined or unknown); test: images, source and
    extent of the test split; parameters: of the model, None where the run does not say; seconds: training
    time over all epochs.
    """

    run: str
    recipe: str
    dataset: str
    seed: int | None
    metrics: Mapping[str, Mapping[str, float | None]]
    parameters: int | None
    seconds: float
    test: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Leaderboard(Sequence[Row]):
    """Rows, best first by the metric `by`, and sentences that name the runs that were left out."""

    rows: tuple[Row, ...]
    by: str
    left_out: tuple[str, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)


def compare(runs: Sequence[Run], by: str = "roc_auc") -> Leaderboard:
    """Rank runs by a metric of the test split, in that metric's own direction; undefined values come last.

    A run that is not finished or has no test metrics is left out and named in `left_out`. Raises
    UnknownNameError for an unknown metric; UsageError if no run is left, or if runs were judged on other
    classes or other images than the first, with the reason for each.
    """
    known = metric(by)
    eligible, left_out = [], []
    for run in {run.path.resolve(): run for run in runs}.values():
        reason = _unfit(run)
        if reason:
            left_out.append(f"{run.name} is left out: {reason}")
        else:
            eligible.append(run)
    if not eligible:
        raise UsageError("; ".join(["there is no finished run to compare", *left_out]))
    _refuse_others(eligible)
    rows = sorted(map(_row, eligible), key=lambda row: _rank(row, known))
    return Leaderboard(tuple(rows), by, tuple(left_out))


def _unfit(run: Run) -> str | None:
    """Why a run can't be ranked; None if it can."""
    status = run.status().get("status")
    if status != "finished":
        return f"its status is {status!r}; expected 'finished'"
    if not run.has("metrics.json") or "test" not in run.metrics():
        return "it has no metrics of a test split"
    return None if run.has("environment.json") else "it has no environment.json"


def _refuse_others(runs: Sequence[Run]) -> None:
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


def _row(run: Run) -> Row:
    environment, test = run.environment(), run.metrics()["test"]
    dataset = environment.get("dataset", {})
    records: Sequence[Mapping[str, float]] = run.history()
    empty = {"value": None, "low": None, "high": None}
    return Row(
        run=run.name, recipe=run.recipe().name, dataset=str(dataset.get("name", "")),
        seed=environment.get("seed"),
        metrics={name: test.get(name, empty) for name in METRICS.names()},
        parameters=environment.get("model", {}).get("parameters"),
        seconds=sum(record.get("seconds", 0.0) for record in records),
        test={"count": test.get("count"), **dataset.get("splits", {}).get("test", {})},
    )


def _rank(row: Row, by: Metric) -> tuple[bool, float]:
    value = row.metrics[by.name]["value"]
    if value is None:
        return True, 0.0
    return False, -value if by.higher_is_better else value


# ----------------------------------------------------------------------------------------------------
# for people


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """(header, body) as text; the metric that a Leaderboard is ranked by comes first among the metrics."""
    names = _metrics_first(rows)
    header = ["run", "recipe", "seed", *(TITLES.get(n, n) for n in names), "parameters", "seconds"]
    return header, [
        [row.run, row.recipe, "–" if row.seed is None else str(row.seed),
         *(metric(name).text(row.metrics[name]) for name in names),
         "–" if row.parameters is None else f"{row.parameters:,}", f"{row.seconds:,.1f}"]
        for row in rows
    ]


def _metrics_first(rows: Sequence[Row]) -> list[str]:
    names = METRICS.names()
    by = rows.by if isinstance(rows, Leaderboard) else names[0]
    return [by, *(name for name in names if name != by)]


def write_html(rows: Sequence[Row], path: str | Path) -> Path:
    """Write the leaderboard as one self-contained page. Raises StorageError."""
    from tenfold.report import html

    header, body = table(rows)
    left_out = rows.left_out if isinstance(rows, Leaderboard) else ()
    page = html.comparison(_facts(rows), header, body, ranked=3, intervals=_intervals(rows),
                           cautions=[*_cautions(rows), *left_out])
    return write_whole(Path(path), page)


def _facts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    if not rows:
        return []
    count = rows[0].test.get("count")
    return [("data set", rows[0].dataset), ("test images", "–" if count is None else f"{count:,}"),
            ("ranked by", metric(_metrics_first(rows)[0]).title)]


def _cautions(rows: Sequence[Row]) -> list[str]:
    from tenfold.report import facts

    return facts.cautions({"status": "finished"}, {"test": rows[0].test}, {}) if rows else []


def _intervals(rows: Sequence[Row]) -> list[tuple[str, float, float, float, str]]:
    """(run, low, value, high, text) of the accuracies whose interval is known."""
    found = []
    for row in rows:
        entry = row.metrics["accuracy"]
        low, value, high = (entry[key] for key in ("low", "value", "high"))
        if low is not None and value is not None and high is not None:
            found.append((row.run, low, value, high, metric("accuracy").text(entry)))
    return found
