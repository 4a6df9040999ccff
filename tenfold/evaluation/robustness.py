"""Accuracy of a model on corrupted images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tenfold.data.dataset import Split
from tenfold.evaluation import statistics
from tenfold.evaluation.corruptions import SEVERITIES, corruption
from tenfold.evaluation.scores import entry
from tenfold.evaluation.weighted import Predictions
from tenfold.progress import SILENT, Watcher
from tenfold.registry import CORRUPTIONS
from tenfold.runtimes import BATCH, Predictor


def robustness(predictor: Predictor, split: Split, watcher: Watcher = SILENT, batch_size: int = BATCH,
               seed: int = 0) -> dict[str, Any]:
    """Accuracy on a split under every registered corruption at severities 1 to 5.

    Returns "count", "seed", "clean" (accuracy on the unchanged images), "corruptions": name → {"title",
    "accuracy": five entries}, and "mean": the mean over all corruptions and severities with its score
    interval over images. All other intervals are Wilson's. Reports each corruption to `watcher`.
    """
    clean = Predictions(split.labels, predictor.predict(split.images, batch_size))
    table: dict[str, Any] = {}
    right = []
    names = CORRUPTIONS.names()
    for number, name in enumerate(names):
        watcher.advance("corrupt", number, len(names), "rounds")
        known = corruption(name)
        corrupted = [known.blocks(split.images, severity, seed) for severity in SEVERITIES]
        found = [Predictions(split.labels, _predicted(predictor, blocks, batch_size)) for blocks in corrupted]
        table[name] = {"title": known.title, "accuracy": [_accuracy(each.correct) for each in found]}
        right += [each.correct for each in found]
        shown = ", ".join(f"{100 * each.correct.mean():.1f}" for each in found)
        watcher.notice(f"{known.title.lower()}, accuracy at severity 1 to 5: {shown} %")
    watcher.advance("corrupt", len(names), len(names), "rounds")
    of_image = np.mean(right, axis=0)
    mean = float(of_image.mean())
    spread, = statistics.bootstrap(clean, [lambda x: x.mean(of_image)])
    interval = statistics.Fraction(mean, len(of_image)).interval(spread)
    return {"count": len(split.labels), "seed": seed, "clean": _accuracy(clean.correct), "corruptions": table,
            "mean": entry(mean, interval, "")}


def _predicted(predictor: Predictor, blocks: Iterable[np.ndarray], batch_size: int) -> np.ndarray:
    """The probabilities of all blocks, predicted one block at a time."""
    return np.concatenate([predictor.predict(block, batch_size) for block in blocks])


def _accuracy(correct: np.ndarray) -> dict[str, Any]:
    return entry(float(correct.mean()), statistics.wilson(int(correct.sum()), len(correct)), "")
