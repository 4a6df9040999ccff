"""Measure the time for the 95 % intervals of all metrics.

    python -m benchmarks.intervals [--images 10000] [--classes 10] [--resamples 2000] [--json FILE]

Scores random softmax probabilities with every registered metric, overall and by class, and prints the seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from tenfold import machine
from tenfold.evaluation.scores import BY_CLASS, score
from tenfold.registry import METRICS


def predictions(images: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels int64 [n] and probabilities float32 [n, k] that often favour them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    logits = rng.normal(size=(images, classes)) + 2.5 * np.eye(classes)[labels]
    p = np.exp(logits)
    return labels, (p / p.sum(axis=1, keepdims=True)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    labels, p = predictions(arguments.images, arguments.classes)
    started = time.perf_counter()
    score(labels, p, [f"class {i}" for i in range(arguments.classes)], arguments.resamples)
    result = {"seconds": round(time.perf_counter() - started, 2), "images": arguments.images,
              "classes": arguments.classes, "resamples": arguments.resamples, "metrics": len(METRICS.names()),
              "metrics_by_class": len(BY_CLASS), "machine": machine.facts()}
    text = json.dumps(result, indent=2)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
