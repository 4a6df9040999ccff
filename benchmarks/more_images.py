"""Is the learning curve honest? How often the gain that it expects from twice the images is the gain that comes.

    python -m benchmarks.more_images [--draws 16] [--json FILE]

Draws training, validation and test images from CIFAR-10 (all classes, or three), measures the learning curve of
`tenfold try` on features of EfficientNetLite0, and then trains on twice the images. The accuracy of both is measured on
4,000 other images. To save time the features are reduced to their 200 largest principal components.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.side_by_side import log

POOL, JUDGES = 16_000, 4000  # images with features; of them those that measure the true accuracy
SIDE, COMPONENTS = 96, 200
SETTINGS = ((10, 150), (10, 400), (10, 1200), (3, 150), (3, 400))  # classes and training images


def features(pool: int = POOL, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [pool, d] and labels int64 [pool] of CIFAR-10's training images, enlarged to `side` pixels."""
    from tenfold.data import open_dataset
    from tenfold.data.splits import prepare
    from tenfold.jobs import try_sections
    from tenfold.recipe import Recipe
    from tenfold.training import frozen_features

    sections = try_sections()
    sections["data"] = {"source": "cifar10", "train_size": pool, "validation": 20}
    sections["model"]["image_size"] = side
    recipe = Recipe.from_dict(sections)
    from sklearn.decomposition import PCA

    found = frozen_features(recipe, prepare(open_dataset("cifar10"), recipe.data)).train
    return PCA(COMPONENTS, random_state=0).fit_transform(found.images).astype(np.float32), found.labels


def draw(x: np.ndarray, labels: np.ndarray, images: int, seed: int) -> dict[str, float]:
    """The expected gain with its interval and the true one, for one draw."""
    from sklearn.preprocessing import StandardScaler

    from tenfold.evaluation.growth import learning_curve
    from tenfold.jobs.learning_curve import FRACTIONS
    from tenfold.progress import SILENT
    from tenfold.training import probe

    order = np.random.default_rng(seed).permutation(len(x))
    judges = order[: min(JUDGES, len(order) // 2)]
    rest = order[len(judges) :]
    held, test, train = rest[: images // 3], rest[images // 3 : 2 * images // 3], rest[2 * images // 3 :]

    def classify(rows: np.ndarray, of: np.ndarray) -> np.ndarray:
        scaler = StandardScaler().fit(x[rows])
        _, _, fitted = probe.choose(scaler.transform(x[rows]), labels[rows], scaler.transform(x[held]), labels[held],
                                    int(labels.max()) + 1, None, SILENT)
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
    parser.add_argument("--draws", type=record.positive, default=16)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    arguments = parser.parse_args()
    x, labels = features()
    rows: list[dict[str, Any]] = []
    for classes, images in SETTINGS:
        chosen = labels < classes
        found = [draw(x[chosen], labels[chosen], images, seed) for seed in range(arguments.draws)]
        covered = [each["low"] <= each["true"] <= each["high"] for each in found]
        rows.append({"classes": classes, "images": images, "covered": float(np.mean(covered)),
                     **{key: float(np.mean([each[key] for each in found])) for key in found[0]}})
        log(str(rows[-1]))
    record.write(arguments.json, {
        "draws": arguments.draws, "rows": rows, "covered": float(np.mean([row["covered"] for row in rows])),
        **record.origin()})


if __name__ == "__main__":
    main()
