"""The results of a comparison: rows, pairs, leaderboards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

from tenfold import notebooks
from tenfold.comparison.pareto import points
from tenfold.evaluation.metrics import metric

Entry = Mapping[str, Any]
SIGNIFICANT = 0.05
FEW_SEEDS = ("Two seeds say little about other seeds, so the intervals of {names} are very wide: "
             "train three or more.")


@dataclass(frozen=True)
class Row:
    """One model, trained with one or more seeds, and its results on the test split; or its cross-validation.

    metrics: name → {"value", "low", "high", "sd"}: the mean over the runs, its 95 % interval and the standard
    deviation over the runs (None if undefined or unknown); of a cross-validation, the value over the images of all
    folds; folds: the number of folds, None without; test: number, source and extent of the test images;
    parameters, model_bytes: size of the model (None if unknown); seconds: training time over all epochs, mean over
    the runs; images_per_second: speed of prediction, median over the runs that measured it, on `machine`;
    tied: no significant difference from the best model on these test images (None: not tested).
    """

    model: str
    recipe: str
    dataset: str
    runs: tuple[str, ...]
    seeds: tuple[int | None, ...]
    metrics: Mapping[str, Entry]
    parameters: int | None
    model_bytes: int | None
    seconds: float
    images_per_second: float | None
    machine: str
    test: Mapping[str, Any]
    tied: bool | None = None
    folds: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Pair:
    """Two models on the same test images, the higher ranked one first.

    differences: metric → {"value", "low", "high", "p", "p_holm"}: first minus second, with the 95 % interval
    of the paired bootstrap and the two-sided p-value, plain and adjusted over all pairs (Holm);
    mcnemar: {"p", "p_holm"} of the exact test that both have the same accuracy; None if a model has several seeds.
    """

    first: str
    second: str
    differences: Mapping[str, Entry]
    mcnemar: Entry

    def test(self, by: str) -> Entry:
        """{"p", "p_holm"} of the difference in a metric; for the accuracy of single runs from McNemar's test."""
        return self.mcnemar if by == "accuracy" and self.mcnemar["p"] is not None else self.differences[by]

    def significant(self, by: str) -> bool | None:
        """Whether the models differ in this metric at the 5 % level, adjusted over all pairs; None if not tested."""
        adjusted = self.test(by)["p_holm"]
        return None if adjusted is None else adjusted < SIGNIFICANT


@dataclass(frozen=True)
class Leaderboard(Sequence[Row]):
    """Rows, best first by the metric `by`; sentences about runs that were left out; all pairs of models."""

    rows: tuple[Row, ...]
    by: str
    left_out: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def pareto(self) -> tuple[dict[str, Any], ...]:
        """Quality against cost, one point for each model: see `pareto.points`."""
        return tuple(points(self.rows, self.by))

    @property
    def notes(self) -> tuple[str, ...]:
        """A warning if models were trained with only two seeds."""
        names = ", ".join(row.model for row in self.rows if len(row.runs) == 2)
        return (FEW_SEEDS.format(names=names),) if names else ()

    def __str__(self) -> str:
        from tenfold.comparison import tables

        header, body = tables.table(self)
        return "\n".join([notebooks.aligned(header, body), *self.notes, *self.left_out])

    def _repr_html_(self) -> str:
        from tenfold.comparison import tables

        header, body = tables.table(self)
        parts = [notebooks.table(header, body, "; ".join(f"{name}: {value}" for name, value in tables.facts(self)))]
        if self.pairs:
            parts.append(notebooks.table(*tables.pair_table(self)))
        return "".join([*parts, *(notebooks.preformatted(text) for text in (*self.notes, *self.left_out))])

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with a row for each model, as in the CSV. Raises MissingExtraError without pandas."""
        from tenfold.comparison import tables

        def make() -> Any:
            import pandas

            return pandas.DataFrame(tables.csv_rows(self))

        return notebooks.data_frame(make)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"by": self.by, "higher_is_better": metric(self.by).higher_is_better,
                "rows": [row.to_dict() for row in self.rows], "pairs": [asdict(pair) for pair in self.pairs],
                "pareto": list(self.pareto), "notes": list(self.notes), "left_out": list(self.left_out)}


@dataclass(frozen=True)
class Groups:
    """A leaderboard for each combination of classes and test images; sentences about runs that were left out."""

    boards: tuple[Leaderboard, ...]
    left_out: tuple[str, ...] = ()

    @property
    def apart(self) -> str:
        """Why models of one data set are in several groups; empty if none are."""
        names = [name for board in self.boards for name in {row.dataset for row in board}]
        twice = sorted({name for name in names if names.count(name) > 1})
        return "" if not twice else (
            f"Models on {', '.join(twice)} are in several groups, because they were tested on different images or "
            "classes. Which images are held out depends on data.seed, data.test, data.classes and, for your own "
            "images, data.group. To compare models, train them with the same [data] section.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the leaderboard of a single group, or several leaderboards under "groups"."""
        if len(self.boards) == 1:
            return self.boards[0].to_dict()
        return {"groups": [board.to_dict() for board in self.boards], "left_out": list(self.left_out)}
