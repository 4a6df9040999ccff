"""Random search by KerasTuner over the learning rate of a job, with KerasTuner's defaults. Needs keras and keras-tuner.

The job is what `tenfold_recipe.py --job` wrote. The clock starts when the data lie in memory and the libraries are
imported, and stops when the last trial has ended.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_recipe import augmentation, batches, callbacks, optimizer


def search(folder: Path, trials: int, low: float, high: float, seed: int) -> dict[str, Any]:
    """Search with that many trials: seconds, and the best validation accuracy."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    data = dict(np.load(folder / "data.npz"))
    images, labels, epochs = data["train_images"], data["train_labels"], job["epochs"]
    layers = augmentation(job["augment"], images.shape[1])
    source = {"x": images, "y": labels, "batch_size": job["batch_size"]} if layers is None else {
        "x": batches(images, labels, job["batch_size"], layers)}
    plain = keras.models.load_model(folder / "model.keras", compile=False)

    def built(hp: keras_tuner.HyperParameters) -> keras.Model:
        rate = hp.Float("learning_rate", low, high, sampling="log")
        scaled = data["rates"] * np.float32(rate / job["learning_rate"])
        model = keras.models.clone_model(plain)
        model.compile(optimizer=optimizer({**job, "learning_rate": rate}, scaled),
                      loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    with tempfile.TemporaryDirectory() as directory:
        tuner = keras_tuner.RandomSearch(built, objective="val_accuracy", max_trials=trials, seed=seed,
                                         directory=directory, project_name="search")
        before = time.perf_counter()
        tuner.search(**source, epochs=epochs, validation_data=(data["validation_images"], data["validation_labels"]),
                     callbacks=callbacks(job, epochs), verbose=0)
        seconds = time.perf_counter() - before
        scores = [trial.score for trial in tuner.oracle.get_best_trials(trials)]
    return {"seconds": seconds, "trials": len(scores), "best": float(max(scores))}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", type=Path)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--low", type=float, required=True)
    parser.add_argument("--high", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = search(arguments.job, arguments.trials, arguments.low, arguments.high, arguments.seed)
    backend = keras.backend.backend()
    distribution = {"tensorflow": "tensorflow-cpu"}.get(backend, backend)
    print(json.dumps({**found, "versions": {
        name: importlib.metadata.version(name) for name in ("keras", "keras-tuner", distribution)}}))


if __name__ == "__main__":
    main()
