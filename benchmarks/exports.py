"""Every family of networks in every export format: agreement, size, speed, and what int8 costs.

    python -m benchmarks.exports [FAMILY …] [--json FILE]

Trains each family for moments on a part of CIFAR-10 (TENFOLD_DATA), exports it in every format and measures it with
`tenfold bench`. Families given by name replace those of FILE. docs/export.md shows the result as a table: `make docs`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import environments, record
from benchmarks.side_by_side import log
from tenfold import bench, jobs
from tenfold.errors import MissingExtraError, TenfoldError
from tenfold.evaluation.statistics import Fraction
from tenfold.export.savedmodel import VARIABLE
from tenfold.recipe import Recipe
from tenfold.registry import FORMATS
from tenfold.run import Run

DATA = {"data.source": "cifar10", "data.train_size": 4000, "data.validation": 0.1, "train.epochs": 3}
FEW = {"data.source": "cifar10", "data.train_size": 1500, "data.validation": 0.2}
BATCHES, ROUNDS = (1, 64), 3


def _recipe(name: str, **more: Any) -> Callable[[Path], Run]:
    """A shipped recipe, trained for moments."""
    return lambda runs: jobs.train(Recipe.load(name).replace(DATA | more), runs=runs, name="run")


def _probe(backbone: str, side: int, **more: Any) -> Callable[[Path], Run]:
    """A logistic regression on the features of a backbone."""
    return lambda runs: jobs.probe(backbone, runs=runs, name="run", overrides=FEW | {"model.image_size": side} | more)


def _on_a_run(runs: Path) -> Run:
    """A network trained further on the model of another run."""
    first = FAMILIES["speednet"](runs / "first")
    sections = {"model": {"name": "pretrained", "backbone": f"run:{first.path}", "trainable": 1},
                "train": {"epochs": 1}}
    return jobs.train(Recipe.from_dict(sections, "pretrained", FEW), runs=runs, name="run")


def _on_a_file(runs: Path) -> Run:
    """A logistic regression on the features of a Keras file of somebody's own."""
    from tenfold.backend import keras

    x = inputs = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    for filters in (16, 32):
        x = keras.layers.SeparableConv2D(filters, 3, 2, padding="same", use_bias=False)(x)
        x = keras.layers.Activation("silu")(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([x, keras.layers.Conv2D(32, 1)(x)]))
    path = runs / "backbone.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    keras.Model(inputs, x).save(path)
    return jobs.probe(f"file:{path}", runs=runs, name="run", overrides=FEW)


def _ensemble(runs: Path) -> Run:
    """The mean of two networks."""
    return jobs.ensemble([FAMILIES["mlp"](runs / "first"), FAMILIES["cifar-cnn"](runs / "second")], runs=runs,
                         name="run")


FAMILIES: dict[str, Callable[[Path], Run]] = {
    "mlp": _recipe("mlp"),
    "cifar-cnn": _recipe("cifar-cnn"),
    "speednet": _recipe("speed", **{"train.image_scales": [], "train.batch_size": 100, "evaluate.tta": "none"}),
    "ensemble of mlp and cifar-cnn": _ensemble,
    "trained on a run": _on_a_run,
    "probe on a Keras file": _on_a_file,
    "EfficientNetLite0, 96 pixels, probe": _probe("EfficientNetLite0", 96),
    "ResNet50, 64 pixels, probe": _probe("ResNet50", 64, **{"model.weights": "none"}),
}


def measure(family: str) -> dict[str, Any]:
    """Train, export in every format, and measure one family."""
    with tempfile.TemporaryDirectory(prefix="tenfold-exports-") as folder:
        run = FAMILIES[family](Path(folder))
        exports = {name: export(run, name) for name in FORMATS.names()}
        exports |= {f"{name} int8": export(run, name, int8=True) for name in FORMATS.names()
                    if FORMATS.get(name).quantize}
        runtimes = {each.runtime: each.to_dict() for each in bench.bench(run, BATCHES, ROUNDS, start_up=False)}
    return {"exports": exports, "runtimes": runtimes}


def export(run: Run, format: str, int8: bool = False, lose: float = 100) -> dict[str, Any]:
    """The facts of an export and the seconds that it took, or the error."""
    started = time.perf_counter()
    try:
        made = jobs.export(run, format, int8=int8, lose=lose).to_dict()
    except MissingExtraError as error:
        return {"missing": str(error)}
    except TenfoldError as error:
        return {"error": str(error)}
    seconds = time.perf_counter() - started
    log(f"{format}{' int8' if int8 else ''}: {seconds:.1f} s")
    return {key: value for key, value in made.items() if key not in ("path", "facts")} | {"seconds": seconds}


def table(results: dict[str, Any]) -> str:
    """The Markdown table of families and formats."""
    lines = ["| family | format | largest difference | same class | accuracy, points | MB | images/s | p50 ms |",
             "|---|---|---|---|---|---|---|---|"]
    for family, found in results["families"].items():
        for name, made in found["exports"].items():
            if "missing" in made:
                continue
            if "error" in made:
                lines.append(f"| {family} | {name} | {made['error']} | | | | | |")
                continue
            hidden = 100 * Fraction(0.0, made["images"]).hidden  # results of 2026-11-26 say None if nothing changed
            low, high = (-hidden, hidden) if made["low"] is None else (made["low"], made["high"])
            change = f"{made['accuracy']:+.1f} [{low:+.1f}, {high:+.1f}]"
            one, many = _speeds(found["runtimes"].get(name))
            lines.append(f"| {family} | {name} | {made['largest']:.0e} | {100 * made['same']:.1f} % | "
                         f"{change} | {made['bytes'] / 1e6:.1f} | {many} | {one} |")
    return "\n".join([*lines, "", "images/s is the median of three rounds in batches of 64; p50 is the median latency "
                      "of one image.", *_missing(results)])


def _missing(results: dict[str, Any]) -> list[str]:
    """A sentence about the formats whose tools were not there."""
    names = dict.fromkeys(name for found in results["families"].values() for name, made in found["exports"].items()
                          if "missing" in made)
    return [f"Not measured, because its tools were not installed: {', '.join(names)}."] if names else []


def _speeds(runtime: dict[str, Any] | None) -> tuple[str, str]:
    if runtime is None:
        return "–", "–"
    speeds = {each["batch"]: each for each in runtime["speeds"]}
    return f"{speeds[1]['p50']:.2f}", f"{speeds[64]['images_per_second']:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", type=record.one_of(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    environments.add_options(parser)
    arguments = parser.parse_args()
    try:
        os.environ[VARIABLE] = environments.TENSORFLOW.python(arguments.environments, not arguments.no_install)
    except environments.AbsentError as absent:
        log(f"tf: {absent}")
    known = {}
    if arguments.json and arguments.json.is_file():
        known = json.loads(arguments.json.read_text(encoding="utf-8"))["families"]
    measured = known | {name: measure(name) for name in arguments.families}
    families = {name: measured[name] for name in FAMILIES if name in measured}
    record.write(arguments.json, {"families": families, **record.origin(), "command": "python -m benchmarks.exports"})


if __name__ == "__main__":
    main()
