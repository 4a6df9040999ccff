"""Predict with a Keras model as its users do: `model.predict` on an array. Needs keras and tensorflow."""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a .keras file")
    parser.add_argument("images", help="a .npy file, uint8 [n, height, width, channels]")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128, 512])
    arguments = parser.parse_args()
    import keras
    import numpy as np

    model = keras.saving.load_model(arguments.model, compile=False)
    images = np.load(arguments.images)
    rates = {}
    for batch in arguments.batches:
        model.predict(images[:batch], batch_size=batch, verbose=0)
        started = time.perf_counter()
        model.predict(images, batch_size=batch, verbose=0)
        rates[batch] = round(len(images) / (time.perf_counter() - started), 1)
    print(json.dumps({"images_per_second": max(rates.values()), "by_batch": rates}))


if __name__ == "__main__":
    main()
