"""The values that a comparison gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

from tenfold.comparison.pareto import points
from tenfold.evaluation.metrics import metric

Entry = Mapping[str, Any]
SIGNIFICANT = 0.05
FEW_SEEDS = ("Two seeds say very little about other seeds, so the intervals of {names} are very wide: "
             "train three or more.")


@dataclass(frozen=True)
class Row:
    """One model, trained once or with several seeds: what it is, and what the test split says of it.

    metrics: name → {"value", "low", "high", "sd"}: the mean over the runs, its 95 % interval and the standard
    deviation over the runs (None where undefined or unknown); test: images, source and extent of the test
    split; parameters and model_bytes: of the model, None where the run does not say; seconds: training time
    over all epochs, mean over the runs; images_per_second: of prediction, median over the runs that say,
    measured on `machine`; tied: whether the test images do not tell it from the best (None: not tested).
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Pair:
    """Two models, the one that ranks higher first, on the same test images.

    differences: metric → {"value", "low", "high", "p", "p_holm"}: first minus second, with the 95 % interval
    of the paired bootstrap and its two-sided p-value, as it is and adjusted over all pairs (Holm);
    mcnemar: {"p", "p_holm"} of the exact test that both are right equally often; None where one of them was
    trained with several seeds.
    """

    first: str
    second: str
    differences: Mapping[str, Entry]
    mcnemar: Entry

    def test(self, by: str) -> Entry:
        """{"p", "p_holm"} of the test of a metric's difference: McNemar's for the accuracy of single runs."""
        return self.mcnemar if by == "accuracy" and self.mcnemar["p"] is not None else self.differences[by]

    def settled(self, by: str) -> bool | None:
        """Whether the models differ by that metric at 5 %, all pairs considered; None where it is not tested."""
        adjusted = self.test(by)["p_holm"]
        return None if adjusted is None else adjusted < SIGNIFICANT


@dataclass(frozen=True)
class Leaderboard(Sequence[Row]):
    """Rows, best first by the metric `by`; sentences that name what was left out; all pairs of models."""

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
        """Quality against cost, a point for each model: see `pareto.points`."""
        return tuple(points(self.rows, self.by))

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence where models were trained with two seeds, which say little; else none."""
        names = ", ".join(row.model for row in self.rows if len(row.runs) == 2)
        return (FEW_SEEDS.format(names=names),) if names else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"by": self.by, "higher_is_better": metric(self.by).higher_is_better,
                "rows": [row.to_dict() for row in self.rows], "pairs": [asdict(pair) for pair in self.pairs],
                "pareto": list(self.pareto), "notes": list(self.notes), "left_out": list(self.left_out)}


@dataclass(frozen=True)
class Groups:
    """A leaderboard for each group of models that were judged alike; sentences on runs that are in none."""

    boards: tuple[Leaderboard, ...]
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: of a single group its leaderboard, else all under "groups"."""
        if len(self.boards) == 1:
            return self.boards[0].to_dict()
        return {"groups": [board.to_dict() for board in self.boards], "left_out": list(self.left_out)}
