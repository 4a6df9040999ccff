"""Simulate searches: how often does an interval contain the true accuracy of the recipe that the search chose?

    python -m benchmarks.search_intervals [--searches 2000] [--trials 50] [--images 1000] [--json FILE]

A recipe has a skill, a training adds the luck of its seed, and an image its difficulty, which all recipes share. A
search chooses the trial with the highest validation accuracy. Then its recipe is trained with three new seeds and
scored on test images. Two intervals are counted: that of the winner's validation accuracy (Wilson), and that of the
mean test accuracy, as `tenfold tune` computes it. With 2,000 searches, a true coverage of 95 % shows as 94 to 96 %.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import norm

from benchmarks import record
from tenfold.evaluation import statistics
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.statistics import OverSeeds
from tenfold.evaluation.weighted import Predictions

SEEDS = 3
SKILL, OF_RECIPES, OF_SEEDS = 1.4, 0.08, 0.03  # mean skill, its standard deviation over recipes and over seeds
NOISE = 1.0  # standard deviation of the skill for a single image, for one training; difficulties have 1


def truth(skill: float) -> float:
    """The accuracy of a recipe, over all images and seeds."""
    return float(norm.cdf(skill / np.sqrt(1 + NOISE**2 + OF_SEEDS**2)))


def correct(rng: np.random.Generator, skills: np.ndarray, images: int) -> np.ndarray:
    """Whether trainings of these recipes classify each of the same images correctly: bool [trainings, images]."""
    trained = skills + OF_SEEDS * rng.normal(size=len(skills))
    noise = NOISE * rng.normal(size=(len(skills), images))
    return trained[:, None] + noise > rng.normal(size=images)


def predictions(right: np.ndarray) -> Predictions:
    """Predictions in two classes of equal size that are correct where `right` is true."""
    labels = np.arange(len(right)) % 2
    probabilities = np.zeros((len(right), 2))
    probabilities[np.arange(len(right)), np.where(right, labels, 1 - labels)] = 1
    return Predictions(labels, probabilities)


def search(seed: int, trials: int, images: int, resamples: int) -> dict[str, float]:
    """One search: which intervals contain the truth, and by how much its validation accuracy is too high."""
    rng = np.random.default_rng([2, seed])
    skills = SKILL + OF_RECIPES * rng.normal(size=trials)
    counts = correct(rng, skills, images).sum(axis=1)
    chosen = int(counts.argmax())
    low, high = statistics.wilson(int(counts[chosen]), images)
    judged = [predictions(right) for right in correct(rng, np.full(SEEDS, skills[chosen]), images)]
    accuracy = metric("accuracy")
    values = np.array([statistics.bootstrap(each, [accuracy.function], resamples, seed)[0] for each in judged])
    observed = np.array([each.correct.mean() for each in judged])
    fraction = accuracy.as_fraction(float(observed.mean()), judged)
    interval = OverSeeds.of(values, observed, fraction).uncertain.interval()
    true = truth(float(skills[chosen]))
    assert interval is not None
    return {"validation": low <= true <= high, "test": interval[0] <= true <= interval[1],
            "optimism": counts[chosen] / images - true, "test_error": float(observed.mean()) - true}


def simulate(searches: int, trials: int, images: int, resamples: int) -> dict[str, float]:
    """Fractions of searches whose "validation" and "test" intervals contain the truth; mean errors of both."""
    found = [search(seed, trials, images, resamples) for seed in range(searches)]
    return {key: float(np.mean([each[key] for each in found])) for key in found[0]}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_intervals", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("searches", 2000), ("trials", 50), ("images", 1000), ("resamples", 500)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = simulate(arguments.searches, arguments.trials, arguments.images, arguments.resamples)
    print(f"{arguments.searches:,} searches of {arguments.trials} trials, {arguments.images:,} images in each split")
    print(f"the winner's validation interval contains the true accuracy in {found['validation']:.1%}")
    print(f"the test interval of {SEEDS} new seeds contains it in          {found['test']:.1%}")
    print(f"the validation accuracy is too high by {100 * found['optimism']:+.2f} points, the test accuracy by "
          f"{100 * found['test_error']:+.2f}")
    record.save(arguments.json, arguments, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
