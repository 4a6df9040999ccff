"""How a run's model does on corrupted test images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tenfold.data.dataset import Split
from tenfold.data.view import Images
from tenfold.evaluation import statistics
from tenfold.evaluation.corruptions import SEVERITIES, corruption
from tenfold.evaluation.scores import entry
from tenfold.evaluation.weighted import Judged
from tenfold.progress import SILENT, Watcher
from tenfold.registry import CORRUPTIONS

Classify = Callable[[Images], np.ndarray]


def robustness(classify: Classify, split: Split, watcher: Watcher = SILENT, batch_size: int = 500,
               seed: int = 0) -> dict[str, Any]:
    """Accuracy on a split under every registered corruption at severities 1 to 5.

    `classify` takes uint8 [n, h, w, c] and gives probabilities [n, k]; it is given `batch_size` corrupted images at a
    time. Gives "count", "seed", "clean" (accuracy of the images as they are), "corruptions": name → {"title",
    "accuracy": five entries}, and "mean": the mean over all corruptions and severities, with the bootstrap interval
    over images; every other interval is Wilson's. `watcher` is told of each corruption.
    """
    clean = Judged(split.labels, classify(split.images))
    table: dict[str, Any] = {}
    right = []
    names = CORRUPTIONS.names()
    for number, name in enumerate(names):
        watcher.advance("corrupt", number, len(names), "rounds")
        known = corruption(name)
        judged = [Judged(split.labels, _classified(classify, known.blocks(split.images, severity, seed), batch_size))
                  for severity in SEVERITIES]
        table[name] = {"title": known.title, "accuracy": [_accuracy(each.correct) for each in judged]}
        right += [each.correct for each in judged]
        shown = ", ".join(f"{100 * each.correct.mean():.1f}" for each in judged)
        watcher.notice(f"{known.title.lower()}, severity 1 to 5: {shown} %")
    watcher.advance("corrupt", len(names), len(names), "rounds")
    of_image = np.mean(right, axis=0)
    spread, = statistics.bootstrap(clean, [lambda x: x.mean(of_image)])
    return {"count": len(split.labels), "seed": seed, "clean": _accuracy(clean.correct), "corruptions": table,
            "mean": entry(float(of_image.mean()), statistics.percentile_interval(spread), "")}


def _classified(classify: Classify, blocks: Iterable[np.ndarray], batch_size: int) -> np.ndarray:
    return np.concatenate([classify(batch) for batch in _in_batches(blocks, batch_size)])


def _in_batches(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The images of all blocks, `size` at a time: a block may end in the middle of a batch."""
    left: np.ndarray | None = None
    for block in blocks:
        left = block if left is None else np.concatenate([left, block])
        while len(left) >= size:
            yield left[:size]
            left = left[size:]
    if left is not None and len(left):
        yield left


def _accuracy(correct: np.ndarray) -> dict[str, Any]:
    return entry(float(correct.mean()), statistics.wilson(int(correct.sum()), len(correct)), "")
