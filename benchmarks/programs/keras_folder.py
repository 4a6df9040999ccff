"""Read a folder of images once with `keras.utils.image_dataset_from_directory`, as its users do."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=32)
    arguments = parser.parse_args()
    import keras
    import tensorflow

    tensorflow.constant(0)  # starts the runtime
    started = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        images = keras.utils.image_dataset_from_directory(
            arguments.folder, image_size=(arguments.size, arguments.size), batch_size=128)
    count = sum(len(batch) for batch, _ in images)
    seconds = time.perf_counter() - started
    print(json.dumps({"images": count, "seconds": seconds, "images_per_second": count / seconds}))


if __name__ == "__main__":
    main()
