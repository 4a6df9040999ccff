"""Pretrained backbones side by side: features, epochs, fine-tuning, a run as backbone.

    python -m benchmarks.transfer [features] [epochs] [finetune] [run] [--backbone BACKBONE] [--json FILE]

features  images per second from a frozen backbone, compared with `predict` of plain Keras on TensorFlow on the same
          graph, in turn, `--rounds` each, with as many threads (TENFOLD_THREADS); also per second of processor time
epochs    seconds of an epoch of the logits, on cached features and through the frozen backbone each time
finetune  the probe and both phases on the same images: accuracy and seconds
run       a run fine-tuned from another run against training from scratch, on 100 images a class, over 3 seeds

Real data comes from TENFOLD_DATA. Each call computes its features anew, in its own directory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import tenfold
from benchmarks import record
from benchmarks.environments import TENSORFLOW, add_options
from tenfold import jobs, machine
from tenfold.data.splits import prepare
from tenfold.progress.bars import terminal_watcher
from tenfold.progress.lines import LineWatcher
from tenfold.recipe import Recipe

PARTS = ("features", "epochs", "finetune", "run")
PEER = """
import os, sys, time
os.environ["KERAS_BACKEND"], os.environ["TF_CPP_MIN_LOG_LEVEL"] = "tensorflow", "3"
import keras, numpy as np, tensorflow as tf
threads = int(sys.argv[3])
tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(threads)
model = keras.saving.load_model(sys.argv[1], compile=False)
images = np.load(sys.argv[2]).astype("float32")
model.predict(images[:200], batch_size=100, verbose=0)
started = time.perf_counter(), time.process_time()
out = model.predict(images, batch_size=100, verbose=0)
seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
np.save(sys.argv[4], out)
print(f"{len(images) / seconds} {len(images) / cpu_seconds} {tf.__version__}")
"""


def recipe(backbone: str, size: int, images: int, **train: Any) -> Recipe:
    """Both phases on that many CIFAR-10 images."""
    return Recipe.from_dict({
        "data": {"source": "cifar10", "train_size": images},
        "model": {"name": "pretrained", "backbone": backbone, "image_size": size, "dropout": 0.2, "trainable": "all"},
        "train": {"epochs": 5, "batch_size": 64, "optimizer": {"name": "adamw", "weight_decay": 1e-2},
                  "learning_rate": 3e-4, "schedule": "one-cycle", "stage_decay": 0.7,
                  "head": {"epochs": 10, "learning_rate": 1e-3},
                  "augment": {"mirror": {}, "translate": {"pixels": 4}}, **train},
    }, name="finetune")


def features(arguments: argparse.Namespace) -> dict[str, Any]:
    """Images per second of both, turn by turn on the same resized images; how far their features differ."""
    import torch

    from tenfold.models import build, weights
    from tenfold.models.inference import compiled
    from tenfold.training.transfer import feature_network

    python, chosen = TENSORFLOW.python(arguments.environments, not arguments.no_install), machine.configure()
    tuned = recipe(arguments.backbone, arguments.size, 10)
    split = tenfold.open_dataset("cifar10").train
    with torch.inference_mode():
        small = torch.from_numpy(split.images[: arguments.images].copy()).permute(0, 3, 1, 2).float()
        large = torch.nn.functional.interpolate(small, (arguments.size, arguments.size), mode="bilinear")
    images = large.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    model = build(tuned.model, images.shape[1:], 10, fast=True, dtype=chosen.dtype_policy)
    weights.initialise(model, tuned.model)
    plain = build(tuned.model, images.shape[1:], 10)
    plain.set_weights(model.get_weights())
    network = compiled(feature_network(model))
    rates: dict[str, list[tuple[float, float]]] = {"tenfold": [], "tensorflow": []}
    with tempfile.TemporaryDirectory() as name:
        stored, theirs, graph = (Path(name) / file for file in ("images.npy", "features.npy", "graph.keras"))
        np.save(stored, images)
        feature_network(plain).save(graph)
        for _ in range(arguments.rounds):
            rates["tenfold"].append(_rate(network, images))
            command = [python, "-c", PEER, graph, stored, str(chosen.threads), theirs]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            rates["tensorflow"].append((float(said[0]), float(said[1])))
        ours, peers = _features(network, images[:500]), np.load(theirs)[:500]
    medians = {key: [statistics.median(column) for column in zip(*values, strict=True)]
               for key, values in rates.items()}
    return {
        **{key: {"images_per_second": medians[key][0], "images_per_cpu_second": medians[key][1], "all": values}
           for key, values in rates.items()},
        **{name: medians["tenfold"][i] / medians["tensorflow"][i] for i, name in enumerate(("ratio", "ratio_of_cpu"))},
        "tensorflow_version": said[2],
        "precision": chosen.precision, "threads": chosen.threads,
        "relative_difference": float(np.abs(ours - peers).mean() / np.abs(peers).mean()),
    }


def _features(network: Any, images: np.ndarray) -> np.ndarray:
    from tenfold.training.features import BATCH, batch_features

    return np.concatenate([batch_features(network, images[i:i + BATCH]) for i in range(0, len(images), BATCH)])


def _rate(network: Any, images: np.ndarray) -> tuple[float, float]:
    """Images per second and per second of processor time; the latter counts less what else runs on the machine."""
    _features(network, images[:200])
    started = time.perf_counter(), time.process_time()
    _features(network, images)
    return len(images) / (time.perf_counter() - started[0]), len(images) / (time.process_time() - started[1])


def epochs(arguments: argparse.Namespace) -> dict[str, Any]:
    """Median seconds of an epoch of the logits alone, on cached features and through the backbone every time."""
    from tenfold.models import build, weights
    from tenfold.training import engine, optimizers
    from tenfold.training import features as cache
    from tenfold.training.loader import Loader
    from tenfold.training.transfer import feature_network, head

    tuned = recipe(arguments.backbone, arguments.size, arguments.images, augment={})
    tuned = tuned.replace({"model.trainable": "none"})
    dataset = prepare(tenfold.open_dataset("cifar10"), tuned.data)
    chosen = machine.configure()
    model = build(tuned.model, dataset.shape, 10, fast=True, dtype=chosen.dtype_policy)
    weights.initialise(model, tuned.model)
    started = time.perf_counter()
    found = cache.dataset_features(feature_network(model), tuned, dataset, LineWatcher(print))
    once = time.perf_counter() - started
    seconds = {}
    on_features = head(tuned, found, model.get_layer("logits"), fresh=True)
    for name, network, images in (
        ("cached", on_features, found.train), ("through the backbone", model, dataset.train),
    ):
        trainer = engine.Trainer(network, optimizers.make(tuned.train), tuned.train, 10)
        loader, taken = Loader(images.images, images.labels), []
        for epoch in range(1, 6 if name == "cached" else 3):
            begun = time.perf_counter()
            order = engine.batches(engine.epoch_order(len(loader), 0, epoch), tuned.train.batch_size)
            for step, index in enumerate(order):
                trainer.step(loader, index, engine.derived_seed(0, epoch, step), epoch)
            taken.append(time.perf_counter() - begun)
        seconds[name] = statistics.median(taken)
    return {"images": arguments.images, "features_once": once, "seconds_per_epoch": seconds,
            "ratio": seconds["through the backbone"] / seconds["cached"]}


def finetune(arguments: argparse.Namespace) -> dict[str, Any]:
    """The probe, the probe of random weights, and both phases: accuracy on test, seconds, history."""
    backbone = arguments.backbone
    shared = [f"data.train_size={arguments.images}", f"model.image_size={arguments.size}"]
    result = {}
    with terminal_watcher() as watcher:
        for name, more in (("probe", []), ("probe, random weights", ["model.weights=none"])):
            started = time.perf_counter()
            made = jobs.probe(backbone, "cifar10", shared + more, runs=arguments.runs, watcher=watcher)
            result[name] = _told(made, started)
        started = time.perf_counter()
        made = jobs.train(recipe(backbone, arguments.size, arguments.images), runs=arguments.runs, watcher=watcher)
    return result | {"fine-tuned": _told(made, started)}


def _told(run: Any, started: float) -> dict[str, Any]:
    return {"accuracy": run.metrics()["test"]["accuracy"], "seconds": time.perf_counter() - started,
            "history": run.history()}


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fine-tuned from a run on seven classes against from scratch, on three others, 100 images of each."""
    first = ["airplane", "automobile", "cat", "deer", "dog", "horse", "ship"]
    network = {"name": "cnn", "filters": [32, 64, 128], "convolutions": 2, "norm": "batch-per-block", "dense": [256]}
    few = {"source": "cifar10", "classes": ["bird", "frog", "truck"], "train_size": 300}
    accuracies: dict[str, list[float]] = {"from the run": [], "from scratch": []}
    with terminal_watcher() as watcher:
        source = jobs.train(Recipe.from_dict({
            "data": {"source": "cifar10", "classes": first}, "model": network,
            "train": {"epochs": 5, "batch_size": 100, "learning_rate": 3e-3, "schedule": "one-cycle"},
        }, name="source"), runs=arguments.runs, watcher=watcher)
        for seed in range(3):
            common = {"epochs": 20, "batch_size": 32, "seed": seed, "schedule": "one-cycle", "augment": {"mirror": {}}}
            for name, model, train in (
                ("from the run", {"name": "pretrained", "backbone": f"run:{source.path}"},
                 {**common, "learning_rate": 1e-3, "stage_decay": 0.5, "head": {"epochs": 10, "batch_size": 32}}),
                ("from scratch", network, {**common, "epochs": 30, "learning_rate": 1e-3}),
            ):
                made = jobs.train(Recipe.from_dict({"data": few, "model": model, "train": train}, name="few"),
                                      runs=arguments.runs, watcher=watcher)
                accuracies[name].append(made.metrics()["test"]["accuracy"]["value"])
    difference = np.subtract(accuracies["from the run"], accuracies["from scratch"])
    low, high = stats.t.interval(0.95, 2, difference.mean(), stats.sem(difference))
    return {"accuracy": accuracies, "difference": {"mean": difference.mean(), "low": low, "high": high}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--backbone", default="EfficientNetLite0", help="a value of model.backbone")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--json", type=Path)
    add_options(parser)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TENFOLD_CACHE"] = cache
        for part in arguments.parts or PARTS:
            result[part] = globals()[part](arguments)
            print(json.dumps({part: result[part]}, indent=2), flush=True)
    record.write(arguments.json, {**result, **record.origin()})


if __name__ == "__main__":
    main()
