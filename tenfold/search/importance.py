"""The importance of recipe keys in a search, with intervals over the trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tenfold.report.plots.search import finished, position

LEAST = 10  # finished trials; fewer say nothing
RESAMPLES = 40
TREES = 30
INACTIVE = -1.0  # the position of a key that does not apply to a trial


def importance(results: Mapping[str, Any], seed: int = 0) -> list[dict[str, Any]]:
    """The share of the explained variation of the trials' values by key, the largest first.

    Each has "key", "value", "low" and "high": the mean and the middle 95 % over resamples of the finished trials. The
    importance is that of a random forest (Breiman 2001): the decrease of the variance by the splits on a key. Empty
    with fewer than ten finished trials, or if all values are equal.
    """
    from sklearn.ensemble import RandomForestRegressor

    rows, keys = finished(results), list(results["space"])
    values = np.array([row["value"] for row in rows])
    if len(rows) < LEAST or np.ptp(values) == 0:
        return []
    places = np.array([[position(results["space"][key], row["changes"][key]) if key in row["changes"] else INACTIVE
                        for key in keys] for row in rows])
    rng, shares = np.random.default_rng(seed), []
    for number in range(RESAMPLES):
        drawn = rng.integers(0, len(rows), len(rows))
        forest = RandomForestRegressor(TREES, max_features=1 / 3, random_state=number)
        shares.append(forest.fit(places[drawn], values[drawn]).feature_importances_)
    mean, (low, high) = np.mean(shares, axis=0), np.quantile(shares, [0.025, 0.975], axis=0)
    found = [{"key": key, "value": float(mean[i]), "low": float(low[i]), "high": float(high[i])}
             for i, key in enumerate(keys)]
    return sorted(found, key=lambda entry: -float(str(entry["value"])))
