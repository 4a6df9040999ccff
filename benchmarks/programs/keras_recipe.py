"""The same training in plain Keras: architecture, data, optimizer and schedule of a job, by `fit`. Needs keras only.

The job is what `tenfold_recipe.py --job` wrote. Fresh weights, float32, everything as Keras has it. Augmentation is
by Keras' own layers, in a `tf.data` pipeline beside the training, as Keras' guide advises for processors.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np


class Prescribed(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of every step from a list."""

    def __init__(self, rates: np.ndarray) -> None:
        self.rates = rates

    def __call__(self, step: Any) -> Any:
        last = len(self.rates) - 1
        index = keras.ops.minimum(keras.ops.cast(step, "int32"), last)
        return keras.ops.take(keras.ops.convert_to_tensor(self.rates), index)


class Stopwatch(keras.callbacks.Callback):
    """Notes when each epoch, with its validation, ends."""

    def __init__(self) -> None:
        super().__init__()
        self.times = [time.perf_counter()]

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.times.append(time.perf_counter())


def optimizer(job: dict[str, Any], rates: np.ndarray) -> keras.optimizers.Optimizer:
    """The job's optimizer; a changing learning rate is prescribed step by step."""
    rate = job["learning_rate"] if job["schedule"] == "constant" else Prescribed(rates)
    options = job["optimizer"]
    if options["name"] == "sgd":
        return keras.optimizers.SGD(rate, momentum=options["momentum"], nesterov=options["nesterov"])
    if options["name"] == "rmsprop":
        return keras.optimizers.RMSprop(rate, momentum=options["momentum"])
    return keras.optimizers.Adam(rate)


def callbacks(job: dict[str, Any], epochs: int) -> list[keras.callbacks.Callback]:
    """Plateau as in the job, and the best epoch's weights at the end; the number of epochs is given."""
    wanted: list[keras.callbacks.Callback] = []
    if isinstance(job["plateau"], dict):
        wanted.append(keras.callbacks.ReduceLROnPlateau(**job["plateau"]))
    early, checkpoint = job["early_stopping"], job["checkpoint"]
    rule = early if isinstance(early, dict) and early["restore_best_weights"] else checkpoint
    if isinstance(rule, dict):
        wanted.append(keras.callbacks.EarlyStopping(rule["monitor"], patience=epochs + 1, restore_best_weights=True))
    return wanted


def augmentation(augment: dict[str, dict[str, Any]], side: int) -> keras.Sequential | None:
    """Keras' layers for mirror, translate and rotate, in that order."""
    layers: list[keras.layers.Layer] = []
    if "mirror" in augment:
        layers.append(keras.layers.RandomFlip("horizontal"))
    if "translate" in augment:
        share = augment["translate"]["pixels"] / side
        layers.append(keras.layers.RandomTranslation(share, share, fill_mode="reflect"))
    if "rotate" in augment:
        layers.append(keras.layers.RandomRotation(augment["rotate"]["degrees"] / 360, fill_mode="reflect"))
    return keras.Sequential(layers) if layers else None


def batches(images: np.ndarray, labels: np.ndarray, batch: int, layers: keras.Sequential) -> Any:
    """Shuffled batches, augmented by TensorFlow beside the training."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels)).batch(batch)
    return data.map(lambda x, y: (layers(tf.cast(x, tf.float32), training=True), y),
                    num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def train(folder: Path, epochs: int, seed: int) -> dict[str, Any]:
    """Train the job for that many epochs: seconds of each, accuracy on the test split."""
    keras.utils.set_random_seed(seed)
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    data = dict(np.load(folder / "data.npz"))
    images, labels, batch = data["train_images"], data["train_labels"], job["batch_size"]
    validation = (data["validation_images"], data["validation_labels"]) if "validation_images" in data else None
    layers = augmentation(job["augment"], images.shape[1])
    source = {"x": images, "y": labels, "batch_size": batch} if layers is None else {
        "x": batches(images, labels, batch, layers)}
    watch = Stopwatch()
    model = keras.models.clone_model(keras.models.load_model(folder / "model.keras", compile=False))
    model.compile(optimizer=optimizer(job, data["rates"]), loss="sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    model.fit(**source, epochs=epochs, validation_data=validation, validation_batch_size=500, verbose=0,
              callbacks=[watch, *callbacks(job, epochs)])
    accuracy = model.evaluate(data["test_images"], data["test_labels"], batch_size=500, verbose=0)[1]
    return {"epoch_seconds": [float(s) for s in np.diff(watch.times)], "accuracy": float(accuracy)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", type=Path)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    backend = keras.backend.backend()
    distribution = {"tensorflow": "tensorflow-cpu"}.get(backend, backend)
    print(json.dumps({**train(arguments.job, arguments.epochs, arguments.seed), "versions": {
        "keras": keras.__version__, backend: importlib.metadata.version(distribution)}}))


if __name__ == "__main__":
    main()
