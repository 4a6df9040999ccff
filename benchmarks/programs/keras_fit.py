"""Networks A and B in Keras as a user writes them, trained by `fit`. Needs keras and the backend of KERAS_BACKEND.

The same networks, optimizers and random pixels as in `plain_torch.py`; everything else is left as Keras has it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time

import keras
import numpy as np
from keras import layers

DISTRIBUTIONS = {"tensorflow": "tensorflow-cpu", "jax": "jax", "torch": "torch"}


def network_a(x: keras.KerasTensor) -> keras.KerasTensor:
    """A 2×2 convolution, three blocks of two normalised 3×3 convolutions, a pooling."""
    x = layers.Conv2D(24, 2, activation="gelu")(x)
    for filters in (64, 256, 256):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(layers.MaxPooling2D()(x))
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(layers.Activation("gelu")(x))
        x = layers.Activation("gelu")(layers.BatchNormalization()(x))
    return layers.Flatten()(layers.MaxPooling2D(3)(x))


def network_b(x: keras.KerasTensor) -> keras.KerasTensor:
    """Three blocks of two 3×3 convolutions with dropout, a hidden layer of 512."""
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Dropout(0.25)(layers.MaxPooling2D()(x))
    return layers.Dropout(0.5)(layers.Dense(512, activation="relu")(layers.Flatten()(x)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=("A", "B"))
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--policy", choices=("float32", "mixed_bfloat16"), default="float32")
    arguments = parser.parse_args()
    keras.config.set_dtype_policy(arguments.policy)
    pixels = layers.Input((32, 32, 3))
    features = network_a(pixels) if arguments.network == "A" else network_b(pixels)
    model = keras.Model(pixels, layers.Dense(10, dtype="float32")(features))
    model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9) if arguments.network == "A" else "adam",
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    batch, count = arguments.batch, arguments.batch * arguments.steps
    images = np.random.default_rng(0).random((count, 32, 32, 3), dtype=np.float32)
    labels = np.random.default_rng(1).integers(10, size=count)
    model.fit(images[: 3 * batch], labels[: 3 * batch], batch_size=batch, verbose=0)
    started = time.perf_counter()
    model.fit(images, labels, batch_size=batch, verbose=0)
    seconds = time.perf_counter() - started
    backend = keras.backend.backend()
    print(json.dumps({"images_per_second": round(count / seconds, 1), "versions": {
        "keras": keras.__version__, backend: importlib.metadata.version(DISTRIBUTIONS[backend])}}))


if __name__ == "__main__":
    main()
