"""Is the learning curve honest? How often the gain that it expects from twice the images is the gain that comes.

    python -m benchmarks.more_images [--images 400] [--draws 40] [--json FILE]

Draws training, validation and test images from CIFAR-10, measures the learning curve of `tenfold try` on features of
EfficientNetLite0, and then trains on twice the images. The accuracy of both is measured on 10,000 other images, so that
the true gain is known to about half a point.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.side_by_side import log

POOL, JUDGES = 16_000, 6000  # images with features; of them those that measure the true accuracy
SIDE = 96


def features() -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [n, d] and labels int64 [n] of CIFAR-10's training images."""
    from tenfold.data import open_dataset
    from tenfold.data.splits import prepare
    from tenfold.jobs import try_sections
    from tenfold.recipe import Recipe
    from tenfold.training import frozen_features

    sections = try_sections()
    sections["data"] = {"source": "cifar10", "train_size": POOL, "validation": 20}
    sections["model"]["image_size"] = SIDE
    recipe = Recipe.from_dict(sections)
    found = frozen_features(recipe, prepare(open_dataset("cifar10"), recipe.data)).train
    return np.asarray(found.images), found.labels


def draw(x: np.ndarray, labels: np.ndarray, images: int, seed: int) -> dict[str, float]:
    """The expected gain with its interval and the true one, for one draw."""
    from sklearn.preprocessing import StandardScaler

    from tenfold.evaluation.growth import learning_curve
    from tenfold.jobs.learning_curve import FRACTIONS
    from tenfold.progress import SILENT
    from tenfold.training import probe

    order = np.random.default_rng(seed).permutation(len(x))
    judges, rest = order[:JUDGES], order[JUDGES:]
    held, test, train = rest[: images // 3], rest[images // 3 : 2 * images // 3], rest[2 * images // 3 :]

    def classify(rows: np.ndarray, of: np.ndarray) -> np.ndarray:
        scaler = StandardScaler().fit(x[rows])
        _, _, fitted = probe.choose(scaler.transform(x[rows]), labels[rows], scaler.transform(x[held]), labels[held],
                                    10, None, SILENT)
        return fitted.predict(scaler.transform(x[of])) == labels[of]

    rng = np.random.default_rng([seed, 1])
    sizes = [round(fraction * images) for fraction in FRACTIONS]
    correct = [np.stack([classify(rng.permutation(train[:images])[:size], test) for _ in range(draws)])
               for size, draws in zip(sizes, FRACTIONS.values(), strict=True)]
    expected = learning_curve(sizes, correct, labels[test])["doubled"]
    true = classify(train[: 2 * images], judges).mean() - classify(train[:images], judges).mean()
    return {"expected": expected["gain"], "low": expected["low"], "high": expected["high"], "true": float(true)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=record.positive, default=400, help="training images (default: 400)")
    parser.add_argument("--draws", type=record.positive, default=40)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    arguments = parser.parse_args()
    x, labels = features()
    found = []
    for seed in range(arguments.draws):
        found.append(draw(x, labels, arguments.images, seed))
        log(f"draw {seed + 1}: {found[-1]}")
    covered = [each["low"] <= each["true"] <= each["high"] for each in found]
    columns: dict[str, Any] = {key: float(np.mean([each[key] for each in found])) for key in found[0]}
    record.write(arguments.json, {
        "images": arguments.images, "draws": len(found), "mean": columns, "covered": float(np.mean(covered)),
        "mean_absolute_error": float(np.mean([abs(each["expected"] - each["true"]) for each in found])),
        **record.origin()})


if __name__ == "__main__":
    main()
