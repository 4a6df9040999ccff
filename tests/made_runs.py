"""Small finished runs as values, for the tests of reports and comparisons."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from tenfold.decisions.temperature import at_temperature
from tenfold.decisions.unknowns import Evidence
from tenfold.evaluation.deciding import Wanted, fit
from tenfold.evaluation.judging import judge
from tenfold.evaluation.misclassified import Explained, most_confident
from tenfold.evaluation.predictions import write_predictions
from tenfold.evaluation.scores import score
from tenfold.recipe import Recipe
from tenfold.report.plots import Material
from tenfold.run import Run, State

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def calibrated(run: Run, probabilities: np.ndarray) -> np.ndarray:
    """The probabilities float [n, k] of a run's model as `tenfold predict` gives them."""
    return at_temperature(probabilities, run.read_json("decisions.json")["temperature"])


def digits(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits: uint8 [n, 8, 8, 1] and labels int64 [n]."""
    bunch = load_digits()
    images = (bunch.images[:count, :, :, None] * 255 / 16).astype(np.uint8)
    return images, bunch.target[:count].astype(np.int64)


def predict(labels: np.ndarray, classes: int, seed: int = 0, skill: float = 3.0) -> np.ndarray:
    """Probabilities float32 [n, classes] that are right more often with more `skill`."""
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes)) + skill * np.eye(classes)[labels]
    p = np.exp(logits)
    return (p / p.sum(axis=1, keepdims=True)).astype(np.float32)


def history(epochs: int) -> list[dict[str, float]]:
    """Records whose validation accuracy is the highest in epoch 3."""
    return [
        {"epoch": e, "seconds": 1.5, "images_per_second": 12345.6, "learning_rate": 1e-3,
         "loss": 2.4 * 0.7**e, "accuracy": 1 - 0.8 * 0.7**e,
         "val_loss": 2.3 * 0.75**e + 0.02 * e, "val_accuracy": 0.9 - 0.02 * abs(e - 3)}
        for e in range(1, epochs + 1)
    ]


def material(images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], epochs: int = 5, seed: int = 0,
             skill: float = 3.0) -> Material:
    """Material of a run that validated on the first half of the images and was tested on the second."""
    half, p = len(labels) // 2, predict(labels, len(classes), seed, skill)
    parts = {"validation": slice(0, half), "test": slice(half, None)}
    metrics = {name: score(labels[part], p[part], classes) for name, part in parts.items()}
    held = {name: (images[part], labels[part], p[part]) for name, part in parts.items()}
    return Material(history(epochs), classes, metrics, (images, labels), held["validation"], held["test"],
                    explained=explained(*held["test"]))


def decided(made: Material, accuracy: float = 0.9) -> Material:
    """The same material with decision rules that were fitted on validation and judged on test."""
    said = [Evidence(np.log(p), p, labels) for _, labels, p in (made.validation, made.test)]
    fitted = {"split": "validation", "images": len(said[0].labels), "reason": ""}
    rules = fit(said[0], said[0], said[0], 1.25, Wanted(accuracy=accuracy), True, fitted)
    content = rules.to_dict(arrays=False) | {"tested": judge(rules, said[1], np.arange(len(said[1].labels)))}
    return replace(made, decisions=json.loads(json.dumps(content)))


def explained(images: np.ndarray, labels: np.ndarray, p: np.ndarray) -> list[Explained]:
    """The most confident errors, the bright pixels of an image in the place of heat."""
    heats = images.mean(axis=3, dtype=np.float32) / 255
    return [Explained(guess, images[guess.index], ((guess.predicted, heats[guess.index]),))
            for guess in most_confident(labels, p, 6)]


def environment(classes: tuple[str, ...], count: int, fingerprint: str = "f00d" * 16, seed: int = 0) -> dict:
    """An `environment.json` with a partial training split and splits held out of it."""
    return {
        "versions": {"python": "3.11.2", "tenfold": "0.1.0"},
        "machine": {"processor": "A processor", "units": ["avx2", "avx512f"], "cores": 2, "memory_gib": 7.8},
        "precision": "float32", "threads": 2, "seed": seed,
        "model": {"parameters": 123456, "flops_per_image": 7890},
        "dataset": {
            "name": "digits", "uri": "folder:my images/digits", "classes": list(classes), "shape": [8, 8, 1],
            "fingerprint": "cafe" * 16,
            "splits": {
                "train": {"count": 1000, "source": "official train split", "partial": True, "expected": 1797},
                "validation": {"count": count, "source": "held out of train, stratified, seed 0",
                               "partial": False, "expected": None},
                "test": {"count": count, "source": "held out of train, stratified, seed 0",
                         "partial": False, "expected": None, "fingerprint": fingerprint},
            },
        },
        "a key of the future": {"deep": {"deeper": None, "list": [1, 2]}},
    }


def run_of(root: Path, made: Material, name: str = "cnn-digits", status: str = "finished",
           fingerprint: str = "f00d" * 16, seed: int = 0) -> Run:
    """A run directory with everything that a report reads; its recipe is the first word of its name."""
    run = Run.create(root, name)
    run.write_recipe(Recipe(name=name.partition("-")[0]).replace({"train.seed": seed}))
    run.write_status(State(status), "" if status == "finished" else "the loss became NaN")
    run.write_history(made.history)
    count = len(made.test[1]) if made.test else 0
    run.write_json("environment.json", environment(made.classes, count, fingerprint, seed))
    if made.metrics:
        run.write_json("metrics.json", made.metrics)
    for split, predicted in (("validation", made.validation), ("test", made.test)):
        if predicted is not None:
            write_predictions(run, split, predicted[1], predicted[2], made.classes)
    return run
