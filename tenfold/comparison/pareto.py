"""Quality against cost: finds the models that no other model beats in both (the Pareto front)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.evaluation.metrics import metric

if TYPE_CHECKING:
    from tenfold.comparison.leaderboard import Row

COSTS = {"seconds": False, "images_per_second": True}  # whether a higher value is better


def front(quality: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Whether each point is on the Pareto front: bool [n]. High quality and low cost are better; NaN is never on it."""
    known = np.isfinite(quality) & np.isfinite(cost)
    as_good = (quality >= quality[:, None]) & (cost <= cost[:, None])
    better = (quality > quality[:, None]) | (cost < cost[:, None])
    return known & ~(as_good & better & known).any(axis=1)


def points(rows: Sequence[Row], by: str) -> list[dict[str, Any]]:
    """A point for each model: "model", "by", "value", "low", "high", its costs and "front".

    The costs are "seconds", "images_per_second" and "parameters". "front" lists which of the first two put the model
    on the Pareto front: no other model is at least as good in quality and cost and better in one of them.
    """
    quality = _column([row.metrics[by]["value"] for row in rows]) * (1 if metric(by).higher_is_better else -1)
    on_front = {key: front(quality, _column([getattr(row, key) for row in rows]) * (-1 if more else 1))
                for key, more in COSTS.items()}
    return [{"model": row.model, "by": by, **{key: row.metrics[by][key] for key in ("value", "low", "high")},
             "seconds": row.seconds, "images_per_second": row.images_per_second, "parameters": row.parameters,
             "front": [key for key, inside in on_front.items() if inside[i]]} for i, row in enumerate(rows)]


def _column(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], np.float64)
