"""Whole trainings side by side: seconds to the final weights, and accuracy.

    python -m benchmarks.time_to_accuracy speed [--seeds 5] [--json FILE]
    python -m benchmarks.time_to_accuracy recipes [NAME …] [--rounds 3] [--epochs-timed 2] [--json FILE]

`speed` divides the seconds of that recipe by those of plain PyTorch for 400,000 images with network A. The speed of
PyTorch is measured before and after each training. `recipes` trains each shipped recipe and, in turn, the same
architecture on the same data for as many epochs with Keras' `fit` on TensorFlow in float32. With `--epochs-timed K`,
each side trains only K epochs and the seconds are scaled to the recipe's epochs. Without it, each side trains all
epochs, and accuracies are compared as well. The file keeps its other entries if machine and versions are the same. Each
entry names its command, date and commit.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import environments, record
from benchmarks.environments import TENSORFLOW, AbsentError
from benchmarks.side_by_side import Contender, log, ratio, significant, spread
from benchmarks.throughput import yardstick

YARDSTICK_IMAGES = 400_000
PEER = "keras-tensorflow-float32"
RECIPES = ("mlp", "convnet-a", "convnet-b", "cnn2", "cnn2-dropout", "cnn3-dropout", "cnn3-plateau", "three-class",
           "mnist-cnn", "cifar-cnn")
SMOKE = {"data.source": "shapes:train=600,test=60", "train.batch_size": "50", "train.epochs": "2"}


def measure_speed(recipe: str, seeds: int, sets: Sequence[str], meter: Contender, cache: Path) -> dict[str, Any]:
    """Train with seeds 0, 1, …, with the yardstick's speed measured before, between and after."""
    rates, trained = [meter.run(cache)["images_per_second"]], []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as runs:
            trained.append(_trainer(recipe, [*sets, f"train.seed={seed}"], "--runs", runs).run(cache))
        rates.append(meter.run(cache)["images_per_second"])
        log(f"seed {seed}: {sum(trained[-1]['epoch_seconds']):.1f} s, {trained[-1]['accuracy']:.2%} "
            f"({trained[-1]['single_view_accuracy']:.2%} from a single view)")
    return {"recipe": recipe, **compare_speed(trained, rates)}


def compare_speed(trained: Sequence[dict[str, Any]], rates: Sequence[float]) -> dict[str, Any]:
    """Each training's seconds ÷ those of the yardstick at the mean of its speeds just before and just after."""
    seconds = [sum(training["epoch_seconds"]) for training in trained]
    needed = [YARDSTICK_IMAGES / statistics.mean(pair) for pair in itertools.pairwise(rates)]
    return {
        "tenfold": {
            "seconds": spread(seconds), "peak_memory_mib": max(training["peak_memory_mib"] for training in trained),
            "accuracy": sample([training["accuracy"] for training in trained]),
            "single_view_accuracy": sample([training["single_view_accuracy"] for training in trained]),
        },
        "pytorch-bfloat16": {"images_per_second": spread(rates), "seconds": spread(needed)},
        "ratio": ratio(seconds, needed),
    }


def sample(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (None for a single value), the values and their number."""
    deviation = round(statistics.stdev(values), 5) if len(values) > 1 else None
    return {"mean": round(statistics.mean(values), 5), "sd": deviation, "n": len(values), "values": list(values)}


def measure_recipe(name: str, count: int, timed: int | None, sets: Sequence[str], cache: Path, install: bool,
                   ) -> dict[str, Any]:
    """A recipe against its translation into plain Keras: seconds, ratio and, of full trainings, accuracies."""
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            job = _trainer(name, sets, "--job", folder).run(cache)
            for i in range(count):
                limit = [f"train.epochs={min(timed, job['epochs'])}"] if timed else []
                ours.append(_trainer(name, [*sets, *limit, f"train.seed={i}"], "--runs", folder).run(cache))
                epochs = len(ours[-1]["epoch_seconds"])
                theirs.append(_peer(folder, epochs, seed=i).run(cache, install))
                log(f"{name}, round {i + 1}, {epochs} epochs: {sum(ours[-1]['epoch_seconds']):.1f} s, "
                    f"{PEER} {sum(theirs[-1]['epoch_seconds']):.1f} s")
        except AbsentError as reason:
            log(f"{name}: absent: {reason}")
            return {"absent": str(reason)}
    return compare_recipe(ours, theirs, job["epochs"] if timed else None)


def compare_recipe(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], epochs: int | None,
                   ) -> dict[str, Any]:
    """Seconds and their ratio; scaled to `epochs`, or of the epochs trained and with accuracies where that is None."""
    sides = {"tenfold": ours, PEER: theirs}
    seconds = {side: [scaled(r["epoch_seconds"], epochs) for r in of] for side, of in sides.items()}
    entry: dict[str, Any] = {"epochs": spread([epochs or len(r["epoch_seconds"]) for r in ours]),
                             "epochs_timed": spread([len(r["epoch_seconds"]) for r in ours])}
    for side, of in sides.items():
        entry[side] = {"seconds": spread(seconds[side])}
        if epochs is None:
            entry[side]["accuracy"] = sample([r["accuracy"] for r in of])
    return {**entry, "ratio": ratio(seconds["tenfold"], seconds[PEER]), "versions": theirs[0].get("versions", {})}


def scaled(epoch_seconds: Sequence[float], epochs: int | None) -> float:
    """Seconds of that many epochs: those measured, and the median of the later ones for each that was not.

    The first epoch also builds and traces; it stands for the others only where it is the only one.
    """
    missing = max((epochs or 0) - len(epoch_seconds), 0)
    return significant(sum(epoch_seconds) + missing * statistics.median(epoch_seconds[1:] or epoch_seconds))


def _trainer(recipe: str, sets: Sequence[str], *more: str) -> Contender:
    arguments = [recipe, *(word for pair in sets for word in ("--set", pair)), *more]
    return Contender("tenfold", "tenfold_recipe", tuple(arguments))


def _peer(folder: str, epochs: int, seed: int) -> Contender:
    quiet = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    return Contender(PEER, "keras_recipe", (folder, "--epochs", str(epochs), "--seed", str(seed)), TENSORFLOW, quiet)


def _kept(path: Path | None, origin: dict[str, Any]) -> dict[str, Any]:
    """The entries of the file from the same machine and versions."""
    if path is None or not path.is_file():
        return {}
    before = json.loads(path.read_text(encoding="utf-8"))
    same = all(before.get(key) == origin[key] for key in ("machine", "versions"))
    return dict(before["recipes"]) if same else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    speed = commands.add_parser("speed", help="one recipe against the yardstick")
    speed.add_argument("--recipe", default="speed")
    speed.add_argument("--seeds", type=record.positive, default=5)
    recipes = commands.add_parser("recipes", help="the shipped recipes against Keras on TensorFlow")
    recipes.add_argument("names", nargs="*", type=record.one_of(RECIPES), metavar="NAME", default=list(RECIPES))
    recipes.add_argument("--rounds", type=record.positive, default=3)
    recipes.add_argument("--epochs-timed", type=record.positive, metavar="K",
                         help="train K epochs and scale (default: train all)")
    for command in (speed, recipes):
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for `tenfold train`")
        command.add_argument("--smoke", action="store_true", help="two epochs of a few drawn shapes, as a test")
        command.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
        environments.add_options(command)
    arguments = parser.parse_args()
    sets = [*(f"{k}={v}" for k, v in SMOKE.items()), *arguments.set] if arguments.smoke else arguments.set
    cache = arguments.environments
    if arguments.what == "speed":
        meter = yardstick("A", batch=8, steps=3) if arguments.smoke else yardstick("A")
        count = 1 if arguments.smoke else arguments.seeds
        measured = measure_speed(arguments.recipe, count, sets, meter, cache)
        record.write(arguments.json, {**measured, **record.origin()})
        return
    origin = record.origin()
    done = _kept(arguments.json, origin)
    for name in arguments.names:
        count = 1 if arguments.smoke else arguments.rounds
        measured = measure_recipe(name, count, arguments.epochs_timed, sets, cache, not arguments.no_install)
        measured |= {key: origin[key] for key in ("command", "date", "git_commit")}
        done[name] = {**done.get(name, {}), "timed" if arguments.epochs_timed else "full": measured}
        record.write(arguments.json, {"peer": PEER, "recipes": done, **origin})


if __name__ == "__main__":
    main()
