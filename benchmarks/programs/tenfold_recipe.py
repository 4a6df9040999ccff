"""One recipe trained by Tenfold, as `tenfold train` does it: seconds of training, accuracies.

The clock starts when the data lie in memory and the libraries are imported, and stops with the final weights:
building the network, initialisation, every epoch with its shuffling, validation and checkpoint count. With `--job DIR`
nothing is trained: what a peer needs to train the same (data, architecture, settings) is written there.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import jobs
from tenfold.data.splits import prepare
from tenfold.jobs.own_data import open_data
from tenfold.progress import Epoch, Event, Training, Watcher
from tenfold.recipe import Recipe, text

UNTRANSLATED = ("label_smoothing", "image_scales", "warmup")
OPTIMIZERS = ("adam", "sgd", "rmsprop")
AUGMENTATIONS = ("mirror", "translate", "rotate")


class Stopwatch(Watcher):
    """Notes when training begins and when each epoch ends."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on(self, event: Event) -> None:
        if isinstance(event, Training):
            self.times = [time.perf_counter()]
        elif isinstance(event, Epoch):
            self.times.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """Of each epoch; what comes before the first belongs to it."""
        return [float(s) for s in np.diff(self.times)]


def train(recipe: Recipe, runs: Path) -> dict[str, Any]:
    """Train, evaluate and report; accuracy on the test split, with test-time augmentation where the recipe has it."""
    watch = Stopwatch()
    run = jobs.train(recipe, runs=runs, watcher=watch)
    metrics = run.metrics()
    single_view = metrics["test"]["accuracy"]["value"]
    augmented = metrics.get("test_tta", metrics["test"])["accuracy"]["value"]
    return {"epoch_seconds": watch.seconds(), "accuracy": augmented, "single_view_accuracy": single_view}


def check_translation(recipe: Recipe) -> None:
    """Raise SystemExit if the recipe asks for something that `keras_recipe.py` has no translation for."""
    train, job = recipe.train, recipe.to_dict()["train"]
    left = [key for key in UNTRANSLATED if job[key]]
    left += [name for name in train.augment if name not in AUGMENTATIONS]
    left += ["class_weights"] * (train.class_weights != "none")
    left += ["weight_decay"] * (train.optimizer.options.get("weight_decay", 0.0) > 0)
    left += [train.optimizer.name] * (train.optimizer.name not in OPTIMIZERS)
    if left:
        raise SystemExit(f"{recipe.name}: no translation into plain Keras for {', '.join(left)}")


def write_job(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Write data.npz, model.keras (the plain twin, untrained) and job.json for `keras_recipe.py`.

    Raises SystemExit as `check_translation` does.
    """
    from tenfold.models import build
    from tenfold.training import schedule

    check_translation(recipe)
    train = recipe.train
    data = prepare(open_data(recipe), recipe.data)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"{name}_{part}": getattr(split, part) for name, split in data.splits().items()
              for part in ("images", "labels")}
    steps = -(-len(data.train) // train.batch_size)
    rates = [schedule.learning_rate(train, i, steps) for i in range(train.epochs * steps)]
    np.savez(folder / "data.npz", **arrays, rates=np.asarray(rates, np.float32))
    build(recipe.model, data.shape, len(data.classes)).save(folder / "model.keras")
    (folder / "job.json").write_text(json.dumps(recipe.to_dict()["train"]), encoding="utf-8")
    return {"images": len(data.train), "epochs": train.epochs}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--job", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    recipe = text.load(arguments.recipe, arguments.set)
    print(json.dumps(write_job(recipe, arguments.job) if arguments.job else train(recipe, arguments.runs)))


if __name__ == "__main__":
    main()
