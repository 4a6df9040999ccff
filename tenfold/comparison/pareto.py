"""Quality against cost: which models of a comparison no other one beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.evaluation.metrics import metric

if TYPE_CHECKING:
    from tenfold.comparison.leaderboard import Row

COSTS = {"seconds": False, "images_per_second": True}  # whether more of it is better


def front(quality: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Which of the points no other one beats: bool [n]. Quality is better higher, cost lower; NaN is beaten."""
    known = np.isfinite(quality) & np.isfinite(cost)
    as_good = (quality >= quality[:, None]) & (cost <= cost[:, None])
    better = (quality > quality[:, None]) | (cost < cost[:, None])
    return known & ~(as_good & better & known).any(axis=1)


def points(rows: Sequence[Row], by: str) -> list[dict[str, Any]]:
    """A point for each model: "model", "by", its "value", "low" and "high", what it costs, and its fronts.

    The costs are "seconds", "images_per_second" and "parameters"; "front" names those of the first two in which no
    other model is better and at least as good.
    """
    quality = _column([row.metrics[by]["value"] for row in rows]) * (1 if metric(by).higher_is_better else -1)
    on_front = {key: front(quality, _column([getattr(row, key) for row in rows]) * (-1 if more else 1))
                for key, more in COSTS.items()}
    return [{"model": row.model, "by": by, **{key: row.metrics[by][key] for key in ("value", "low", "high")},
             "seconds": row.seconds, "images_per_second": row.images_per_second, "parameters": row.parameters,
             "front": [key for key, inside in on_front.items() if inside[i]]} for i, row in enumerate(rows)]


def _column(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], np.float64)
