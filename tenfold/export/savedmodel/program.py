"""Runs in a Python with TensorFlow and Keras 3: writes a Keras model as a SavedModel, or computes one.

    program.py write MODEL.keras FOLDER OUTPUT …
    program.py answer FOLDER

It imports nothing of Tenfold, so that TensorFlow may be in an environment of its own. `answer` reads arrays from
standard input and writes the outputs of each to standard output, all as .npz behind 8 bytes with its length.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")


def write(model: str, folder: str, *outputs: str) -> None:
    """Write the SavedModel: its signature `serve` takes uint8 `pixels` and gives the outputs by their names."""
    import keras
    import tensorflow as tf

    loaded = keras.saving.load_model(model, compile=False)

    def serve(pixels: Any) -> dict[str, Any]:
        return dict(zip(outputs, loaded(tf.cast(pixels, tf.float32), training=False), strict=True))

    module = tf.Module()  # not keras.export.ExportArchive, which stores each weight twice
    module.weights = [variable.value for variable in loaded.variables]
    pixels = tf.TensorSpec((None, *loaded.input_shape[1:]), tf.uint8, "pixels")
    module.serve = tf.function(serve, input_signature=[pixels])
    tf.saved_model.save(module, folder, signatures={"serve": module.serve})


def answer(folder: str) -> None:
    """Compute the signature `serve` for each array until standard input ends."""
    import numpy as np
    import tensorflow as tf

    serve = tf.saved_model.load(folder).signatures["serve"]
    while header := sys.stdin.buffer.read(8):
        images = np.load(io.BytesIO(sys.stdin.buffer.read(int.from_bytes(header, "big"))))["images"]
        content = io.BytesIO()
        np.savez(content, **{name: output.numpy() for name, output in serve(pixels=tf.constant(images)).items()})
        sys.stdout.buffer.write(len(content.getvalue()).to_bytes(8, "big") + content.getvalue())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {"write": write, "answer": answer}
    commands[sys.argv[1]](*sys.argv[2:])
