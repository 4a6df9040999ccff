"""How many labels does `tenfold next` save? As accurate as 2,000 images chosen at random, with how many chosen ones?

    python -m benchmarks.active_learning [--seeds 10] [--json FILE]

12,000 images of CIFAR-10 with the features of EfficientNetLite0, the backbone of `photos`. For each seed: 4,000 judge,
200 random ones are labelled first; then rounds of 200 are chosen from the others, by `evaluation.selection` or at
random, and a logistic regression is fitted anew on all labels. The labels that the choice needs are read off its curve,
where it first reaches the accuracy of 2,000 random ones on the same judges. To save time the features are reduced to
their 200 largest principal components.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression

from benchmarks import more_images, record
from benchmarks.side_by_side import log
from benchmarks.targets import Target, target

POOL, SIDE = 12_000, 160  # images; pixels, as in `photos`
JUDGES, FIRST, STEP, LAST = 4000, 200, 200, 2000
STRENGTH = 0.02  # C of the logistic regression, the best one for 2,000 random images
Select = Callable[[np.ndarray, np.ndarray, int], np.ndarray]  # probabilities, features, seed → rows


def curve(x: np.ndarray, labels: np.ndarray, seed: int, select: Select) -> list[float]:
    """The accuracy on the judges with 200, 400, …, 2,000 labels; x: float32 [n, d]; labels: int64 [n]."""
    order = np.random.default_rng(seed).permutation(len(x))
    judges, labelled, rest = order[:JUDGES], order[JUDGES : JUDGES + FIRST], order[JUDGES + FIRST :]
    found = []
    while True:
        fitted = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3).fit(x[labelled], labels[labelled])
        found.append(float(fitted.score(x[judges], labels[judges])))
        if len(labelled) >= LAST:
            return found
        rows = select(fitted.predict_proba(x[rest]), x[rest], seed)
        labelled, rest = np.concatenate([labelled, rest[rows]]), np.delete(rest, rows)


def chosen(p: np.ndarray, x: np.ndarray, seed: int) -> np.ndarray:
    from tenfold.evaluation.selection import choose

    return choose(p, x, STEP, seed)


def at_random(p: np.ndarray, x: np.ndarray, seed: int) -> np.ndarray:
    return np.arange(STEP)  # the rest is in random order


def needed(accuracies: list[float], target: float) -> float:
    """The number of labels with which a curve first reaches the target, between two points by a straight line."""
    sizes = np.arange(FIRST, FIRST + STEP * len(accuracies), STEP)
    for i in range(1, len(accuracies)):
        before, after = accuracies[i - 1], accuracies[i]
        if after >= target:
            return float(sizes[i - 1] + STEP * np.clip((target - before) / max(after - before, 1e-12), 0, 1))
    return float("inf")


def targets(result: dict[str, Any]) -> list[Target]:
    """The figure that has a target."""
    fraction = result["fraction"]
    return [target(f"labels for the accuracy of {LAST:,} random ones, as a fraction of them "
                   f"[{fraction['low']:.2f}, {fraction['high']:.2f}]", fraction["value"], most=0.7)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=record.positive, default=10)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    arguments = parser.parse_args()
    x, labels = more_images.features(POOL, SIDE)
    x = x / x.std(axis=0).mean()
    rows = []
    for seed in range(arguments.seeds):
        random, selected = (curve(x, labels, seed, select) for select in (at_random, chosen))
        rows.append({"random": random, "chosen": selected, "labels": needed(selected, random[-1])})
        log(f"seed {seed}: random {random[-1]:.4f} with {LAST}, chosen {selected[-1]:.4f}; as good with "
            f"{rows[-1]['labels']:.0f}")
    counts = np.array([row["labels"] for row in rows])
    low, high = stats.t.interval(0.95, len(counts) - 1, counts.mean(), stats.sem(counts)) if len(counts) > 1 else (
        None, None)
    record.write(arguments.json, {
        "seeds": arguments.seeds, "random": np.mean([row["random"] for row in rows], axis=0).tolist(),
        "chosen": np.mean([row["chosen"] for row in rows], axis=0).tolist(),
        "labels": {"value": float(counts.mean()), "low": low, "high": high},
        "fraction": {"value": float(counts.mean() / LAST), "low": low and low / LAST, "high": high and high / LAST},
        "rows": rows, **record.origin()})


if __name__ == "__main__":
    main()
