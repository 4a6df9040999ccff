"""The measurements behind `benchmarks.decisions`, as values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.decisions.abstention import CERTAINTY, allowed_errors, fit
from tenfold.decisions.choosing import area
from tenfold.decisions.conformal import METHODS, Sets, coverage
from tenfold.decisions.temperature import calibrated
from tenfold.evaluation.statistics import percentile_interval, verdict

RESAMPLES = 1000
POPULATION, PLACES = 400_000, 4000  # images of known truth; fractions of them


def split_again(labels: np.ndarray, logits: np.ndarray, temperature: float, splits: int) -> dict[str, dict[str, float]]:
    """"90 % lac" → mean coverage of raw and shown sets, the shown sets' size; half the images calibrate each time."""
    p, half = calibrated(logits, temperature), len(labels) // 2
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for split in range(splits):
        order = np.random.default_rng([7, split]).permutation(len(labels))
        held, rest = order[:half], order[half:]
        for level in (0.9, 0.95):
            for method in METHODS:
                sets = Sets.fit(labels[held], p[held], level, method)
                shown, size = coverage(sets.shown(p[rest]), labels[rest])
                raw = coverage(sets.raw(p[rest]), labels[rest])[0]
                rows.setdefault(f"{100 * level:g} % {method}", []).append((raw / len(rest), shown / len(rest), size))
    return {name: {"raw": float(raw), "shown": float(shown), "size": float(size), "images": half}
            for name, (raw, shown, size) in ((name, np.mean(values, axis=0)) for name, values in rows.items())}


@dataclass(frozen=True)
class Scene:
    """A truth for simulations: how confidences are distributed, and how often an answer of some confidence is right."""

    name: str
    images: int
    accuracy: float
    confidence: Callable[[np.random.Generator, int], np.ndarray]
    right: Callable[[np.ndarray], np.ndarray] = lambda confidence: confidence


def _model(depth: float, a: float, b: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda rng, count: 1 - depth * rng.beta(a, b, count)


GOOD, MIDDLE, WEAK = _model(0.5, 0.35, 2.2), _model(0.8, 0.5, 1.6), _model(0.9, 0.8, 1.2)  # 93, 81 and 64 % accurate
SCENES = (
    Scene("93 % accurate, 5,000 images, asked 99 %", 5000, 0.99, GOOD),
    Scene("93 % accurate, 2,500 images, asked 99 %", 2500, 0.99, GOOD),
    Scene("93 % accurate, 2,500 images, asked 97 %", 2500, 0.97, GOOD),
    Scene("81 % accurate, 2,500 images, asked 95 %", 2500, 0.95, MIDDLE),
    Scene("64 % accurate, 2,500 images, asked 90 %", 2500, 0.9, WEAK),
    Scene("93 % accurate, 500 images, asked 97 %", 500, 0.97, GOOD),
    Scene("81 % accurate, too confident, 2,500 images, asked 90 %", 2500, 0.9, MIDDLE, lambda s: 0.97 * s),
    Scene("93 % accurate, 3,500 images, asked 99 %", 3500, 0.99, GOOD),
    Scene("93 % accurate, 800 images, asked 97 %", 800, 0.97, GOOD),
)


def simulate(scene: Scene, sets: int) -> dict[str, float]:
    """"holds": fraction of data sets in which the accepted answers are accurate enough in truth; "answered": mean
    fraction of images that are answered; "of_best": the same as a part of what the best threshold answers; "last": that
    of the last threshold whose test passes, which guarantees nothing; "at_most": see `most_provable`.
    """
    falls = np.sort(scene.confidence(np.random.default_rng(2**32), POPULATION))[::-1]
    truth = np.cumsum(scene.right(falls)) / np.arange(1, POPULATION + 1)
    best = (int(np.flatnonzero(truth >= scene.accuracy)[-1]) + 1) / POPULATION
    allowed, holds, answered, last = allowed_errors(scene.images, scene.accuracy), [], [], []
    for i in range(sets):
        rng = np.random.default_rng([3, i])
        confidence = scene.confidence(rng, scene.images)
        correct = rng.random(scene.images) < scene.right(confidence)
        rule = fit(confidence, correct, scene.accuracy)
        above = 0 if rule.threshold is None else int(np.searchsorted(-falls, -rule.threshold))
        holds.append(above == 0 or truth[above - 1] >= scene.accuracy)
        answered.append(above / POPULATION)
        wrong = np.cumsum(~correct[np.argsort(-confidence)])
        last.append(np.flatnonzero(np.append(0, wrong) <= np.maximum(allowed, 0))[-1] / scene.images)
    return {"holds": float(np.mean(holds)), "answered": float(np.mean(answered)), "best": best,
            "of_best": float(np.mean(answered)) / best, "last": float(np.mean(last)) / best,
            "at_most": most_provable(scene)}


def most_provable(scene: Scene) -> float:
    """The part of the best threshold's answers that no guaranteed method can exceed, even if it knows the true curve.

    Let the errors be more frequent among the surest images, by the factor that makes answers to a fraction f, or to
    more, just too inaccurate. A method whose guarantee holds there too answers f or more in 1 of 20 data sets. In truth
    it can do so only as often as the best test tells both worlds apart (Neyman & Pearson 1933). That test counts the
    errors, as a Poisson process, and tosses a coin at its limit. Answers beyond the best threshold do not count.
    """
    from scipy.stats import poisson

    falls = np.sort(scene.confidence(np.random.default_rng(2**32), POPULATION))[:: -POPULATION // PLACES]
    risk = 1 - scene.right(falls)
    mean, place = np.cumsum(risk) / np.arange(1, PLACES + 1), np.arange(1, PLACES + 1)
    best = int(np.flatnonzero(mean <= 1 - scene.accuracy)[-1]) + 1
    reach = np.maximum(place, np.searchsorted(risk, 1 - scene.accuracy))[:best]  # beyond, each image is too uncertain
    true = scene.images * reach / PLACES * mean[reach - 1]
    other = true * (1 - scene.accuracy) / np.maximum(mean[:best], 1e-9)
    most = poisson.ppf(1 - CERTAINTY, other)
    most -= poisson.cdf(most, other) > 1 - CERTAINTY
    coin = (1 - CERTAINTY - poisson.cdf(most, other)) / np.maximum(poisson.pmf(most + 1, other), 1e-300)
    return float((poisson.cdf(most, true) + coin * poisson.pmf(most + 1, true)).mean())


def stranger_images(count: int = 1000) -> dict[str, np.ndarray]:
    """Images of other kinds, uint8 [n, 32, 32, 3]: digits, drawn shapes, noise, textures."""
    from tenfold.data import open_dataset
    from tenfold.data.given.image import read

    rng, mnist = np.random.default_rng(0), open_dataset("mnist").test
    shapes = open_dataset("shapes:train=20,test=1000").test
    assert mnist is not None
    assert shapes is not None
    digits = np.stack([read(mnist.images[i], (32, 32, 3), resize="stretch") for i in range(min(count, len(mnist)))])
    y, x = np.mgrid[:32, :32][:, None] / 32
    turn, waves = rng.uniform(0, np.pi, (count, 1, 1)), rng.uniform(2, 10, (count, 1, 1))
    stripes = np.sin(2 * np.pi * waves * (np.cos(turn) * x + np.sin(turn) * y) + rng.uniform(0, 6, (count, 1, 1)))
    colours = rng.uniform(0, 255, (2, count, 1, 1, 3))
    mix = (stripes[..., None] + 1) / 2
    return {"mnist": digits, "shapes": np.asarray(shapes.images[np.arange(min(count, len(shapes)))]),
            "noise": rng.integers(0, 256, (count, 32, 32, 3), np.uint8),
            "textures": (mix * colours[0] + (1 - mix) * colours[1]).astype(np.uint8)}


def unknown_areas(drawn: Sequence[tuple[Path, Mapping[str, np.ndarray]]]) -> dict[str, Any]:
    """The area under the ROC curve of each score in each run, and the mean over all with its interval.

    drawn: the path of each run, and images that are unknown to it by name. "chosen" is the score of the run's rules;
    "difference" is its gain over the maximum softmax on the same images, with its paired interval and p-value for these
    draws of classes (`over_draws` tells of others).
    """
    rows, spreads = [], []
    for path, strangers in drawn:
        for name, images in strangers.items():
            areas, spread, chosen, others = _areas(path, images)
            rows.append({"run": path.name, "unknown": name, "chosen": chosen, "left_out": others, "areas": areas})
            spreads.append(spread)
    mean = np.mean([[row["areas"]["chosen"], row["areas"]["maximum softmax"]] for row in rows], axis=0)
    resampled = np.mean(spreads, axis=0)
    interval, p = verdict(resampled[0] - resampled[1])
    return {"rows": rows, "chosen": {"mean": float(mean[0]), "interval": percentile_interval(resampled[0])},
            "maximum softmax": {"mean": float(mean[1]), "interval": percentile_interval(resampled[1])},
            "difference": {"mean": float(mean[0] - mean[1]), "interval": interval, "p": p},
            "means": {name: float(np.mean([row["areas"][name] for row in rows])) for name in rows[0]["areas"]}}


def over_draws(found: Mapping[str, Any]) -> tuple[list[float], float]:
    """(gain over the maximum softmax in each draw, half of Student's 95 % interval of the mean of further draws)."""
    from scipy.special import stdtrit

    gains = [row["areas"]["chosen"] - row["areas"]["maximum softmax"] for row in found["rows"]]
    half = float(stdtrit(len(gains) - 1, 0.975)) * float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
    return gains, half


def _areas(path: Path, images: np.ndarray) -> tuple[dict[str, float], np.ndarray, str, dict[str, float]]:
    """(score → area, resampled areas float [2, r] of the chosen score and of softmax, its name, left-out areas)."""
    from tenfold import modelfile
    from tenfold.decisions.rules import Rules
    from tenfold.decisions.unknowns import SCORES, Evidence, principal
    from tenfold.jobs.own_data import own_data
    from tenfold.progress import SILENT
    from tenfold.run import Run
    from tenfold.runtimes import open_predictor

    run = Run.open(path)
    dataset, predictor, rules = own_data(run, SILENT), open_predictor(run), Rules.read(modelfile.facts(
        path / "model.keras"))
    assert dataset.test is not None
    assert rules is not None
    assert rules.unknowns is not None
    train = dataset.train.take(np.linspace(0, len(dataset.train) - 1, min(5000, len(dataset.train))).astype(np.int64))
    of_train = Evidence(*predictor.logits_and_features(train.images), train.labels)
    known, strange = predictor.logits_and_features(dataset.test.images), predictor.logits_and_features(images)
    space = principal(of_train.features)
    values = {}
    for name, score in SCORES.items():
        arrays = score.fit(of_train, space)
        values[name] = score.score(arrays, *known), score.score(arrays, *strange)
    values["chosen"] = (rules.unknowns.scores(*known, rules.statistics(np.asarray(dataset.test.images))),
                        rules.unknowns.scores(*strange, rules.statistics(images)))
    rng, spread = np.random.default_rng(0), np.empty((2, RESAMPLES))
    for r in range(RESAMPLES):
        of_known, of_strange = (rng.integers(0, len(each), len(each)) for each in values["chosen"])
        spread[:, r] = [area(values[name][0][of_known], values[name][1][of_strange])
                        for name in ("chosen", "maximum softmax")]
    return ({name: area(*each) for name, each in values.items()}, spread, rules.unknowns.score,
            dict(rules.unknowns.auroc))
