"""How a run's model does on corrupted test images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tenfold.data.dataset import Split
from tenfold.evaluation import statistics
from tenfold.evaluation.corruptions import SEVERITIES, corruption
from tenfold.evaluation.scores import entry
from tenfold.evaluation.weighted import Judged
from tenfold.registry import CORRUPTIONS
from tenfold.runtimes import BATCH, Predictor


def robustness(predictor: Predictor, split: Split, log: Callable[[str], None], seed: int = 0, *,
               batch_size: int = BATCH) -> dict[str, Any]:
    """Accuracy on a split under every registered corruption at severities 1 to 5.

    Gives "count", "seed", "clean" (accuracy of the images as they are), "corruptions": name → {"title",
    "accuracy": five entries}, and "mean": the mean over all corruptions and severities, with the bootstrap
    interval over images; every other interval is Wilson's. `log` is told of each corruption.
    """

    def judged(images: np.ndarray) -> Judged:
        return Judged(split.labels, predictor.predict(images, batch_size))

    clean = judged(split.images)
    table: dict[str, Any] = {}
    right = []
    for name in CORRUPTIONS.names():
        known = corruption(name)
        corrupted = [judged(known(split.images, severity, seed)) for severity in SEVERITIES]
        table[name] = {"title": known.title, "accuracy": [_accuracy(each.correct) for each in corrupted]}
        right += [each.correct for each in corrupted]
        shown = ", ".join(f"{100 * each.correct.mean():.1f}" for each in corrupted)
        log(f"{known.title.lower()}, severity 1 to 5: {shown} %")
    share = np.mean(right, axis=0)
    spread, = statistics.bootstrap(clean, [lambda x: x.mean(share)])
    return {"count": len(split.labels), "seed": seed, "clean": _accuracy(clean.correct), "corruptions": table,
            "mean": entry(float(share.mean()), statistics.percentile_interval(spread), "")}


def _accuracy(correct: np.ndarray) -> dict[str, Any]:
    share = float(correct.mean())
    return entry(share, statistics.wilson(share, len(correct)), "")
