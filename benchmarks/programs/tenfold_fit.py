"""Networks A and B trained by Tenfold: `fit` as every recipe uses it, on resident uint8 images.

Everything of a step counts that counts in a real training: the shuffled gathering of the batch, its scaling, the
update, reading the loss; what is done once an epoch (the order, the checkpoint) is not of a step. A second training,
with mirroring and translation, tells how much of a step is spent on data.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.progress import SILENT, Event, Step, Watcher
from tenfold.recipe import Recipe
from tenfold.registry import AUGMENTATIONS, MODELS
from tenfold.run import Run
from tenfold.training import fit

if TYPE_CHECKING:
    from tenfold.models.layers import Layers
    from tenfold.training.augment import Batch


def network_a(layers: Layers, x: Any) -> Any:
    """Network A of `plain_torch.py`; B is the shipped `cnn`."""
    x = layers.conv(24, 2, padding="valid", activation="gelu")(x)
    for filters in (64, 256, 256):
        x = layers.max_pool()(layers.conv(filters, use_bias=False)(x))
        x = layers.activation("gelu")(layers.batch_norm()(x))
        x = layers.conv(filters, use_bias=False)(x)
        x = layers.activation("gelu")(layers.batch_norm()(x))
    return layers.flatten()(layers.max_pool(3)(x))


MODEL = {
    "A": {"name": "network-a"},
    "B": {"name": "cnn", "filters": [32, 64, 128], "convolutions": 2, "dropout": 0.25, "dense": [512],
          "dense_dropout": 0.5},
}
TRAIN = {
    "A": {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": False}, "learning_rate": 0.01},
    "B": {"optimizer": "adam", "learning_rate": 1e-3},
}


class Clock(Watcher):
    """Tells the two parts of a step apart: it stands last among the augmentations, where the data are ready."""

    def __init__(self) -> None:
        self.data = self.total = 0.0
        self._began: float | None = None
        self._ready = 0.0

    def augmentation(self, batch: Batch) -> Batch:
        """Changes nothing and notes the time."""
        self._ready = time.perf_counter()
        return batch

    def on(self, event: Event) -> None:
        """Counts the step that ended now; the first of an epoch comes after other work and is left out."""
        if not isinstance(event, Step):
            return
        now = time.perf_counter()
        if event.step > 1 and self._began is not None:
            self.data += self._ready - self._began
            self.total += now - self._began
        self._began = now


def train(network: str, batch: int, steps: int, epochs: int, clock: Clock | None = None) -> list[dict[str, float]]:
    """The records of that many epochs of `steps` steps on random images."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(batch * steps, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(10, size=batch * steps)
    data = Dataset("random", "random", tuple("0123456789"), train=Split(images, labels, Provenance("random")))
    augment: dict[str, Any] = {"mirror": {}, "translate": {}, "clock": {}} if clock else {}
    recipe = Recipe.from_dict({
        "model": MODEL[network],
        "train": {**TRAIN[network], "epochs": epochs, "batch_size": batch, "augment": augment},
    }, name=f"network-{network.lower()}")
    with tempfile.TemporaryDirectory() as runs:
        return list(fit(recipe, data, Run.create(runs, recipe.name), (), clock or SILENT))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=("A", "B"))
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    arguments = parser.parse_args()
    clock = Clock()
    MODELS.add("network-a")(network_a)
    _warm_up, timed = train(arguments.network, arguments.batch, arguments.steps, epochs=2)
    AUGMENTATIONS.add("clock")(clock.augmentation)
    train(arguments.network, arguments.batch, max(arguments.steps // 2, 3), epochs=1, clock=clock)
    from tenfold.environment import versions
    from tenfold.machine import current

    machine = current()
    print(json.dumps({
        "images_per_second": round(timed["images_per_second"], 1), "data_share": round(clock.data / clock.total, 4),
        "threads": machine.threads, "precision": machine.precision,
        "versions": {name: versions()[name] for name in ("tenfold", "keras", "torch")},
    }))


if __name__ == "__main__":
    main()
