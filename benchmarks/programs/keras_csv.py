"""Classify a folder of images into a CSV with a plain Keras loop over `image_dataset_from_directory`, as a process."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a .keras file")
    parser.add_argument("folder")
    parser.add_argument("out", help="the CSV file")
    arguments = parser.parse_args()
    started = time.perf_counter()
    import keras

    model = keras.saving.load_model(arguments.model, compile=False)
    with contextlib.redirect_stdout(sys.stderr):
        images = keras.utils.image_dataset_from_directory(arguments.folder, labels=None, shuffle=False, batch_size=32,
                                                          image_size=model.input_shape[1:3])
    paths = iter(images.file_paths)
    count = 0
    with open(arguments.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for batch in images:
            for row in model.predict_on_batch(batch):
                writer.writerow([next(paths), int(row.argmax()), *row])
                count += 1
    seconds = time.perf_counter() - started
    print(json.dumps({"images": count, "seconds": seconds, "images_per_second": count / seconds}))


if __name__ == "__main__":
    main()
