"""Measure what decision rules promise: coverage of sets, accuracy of answers, unknown images, and their cost.

    python -m benchmarks.decisions coverage RUN… [--splits 200] [--json FILE]
    python -m benchmarks.decisions accuracy [--sets 2000] [--json FILE]
    python -m benchmarks.decisions folds [--sets 1000] [--json FILE]
    python -m benchmarks.decisions unknowns classes|photos [--draws 5] [--first 0] [--runs DIR] [--set KEY=VALUE]
                                              [--json FILE]
    python -m benchmarks.decisions unknowns far RUN [--json FILE]
    python -m benchmarks.decisions cost RUN [--json FILE]

`coverage` divides the calibration and test images of each run again and again into halves: rules are fitted on one half
and judged on the other. `accuracy` draws data sets of known truth and counts how often the accepted answers are as
accurate as guaranteed, and which part it answers of what the best threshold would. `folds` draws small data sets of
known truth for cross-validations, and counts how often the sets of their ensembles hold the true class. `unknowns
classes` trains on six classes of CIFAR-10; images of the other four are unknown. `photos` does so on the features of a
frozen backbone; with `--runs`, both go on from the runs there. `far` shows a CIFAR-10 run digits, shapes, noise and
textures. Each score is compared with the maximum softmax on the same images; the rule's own score is chosen on left-out
training classes alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import decided_folds
from benchmarks.decided import SCENES, over_draws, simulate, split_again, stranger_images, unknown_areas
from benchmarks.record import origin, positive, write
from benchmarks.targets import Target, target

KNOWN = 6  # classes of a draw
BACKBONE = {"model.image_size": 96, "data.train_size": 5000, "data.validation": 2000}


def coverage(arguments: argparse.Namespace) -> dict[str, Any]:
    """run → level and method → mean coverage of raw and of shown sets and their size, over all splits."""
    from tenfold.jobs.own_data import own_data
    from tenfold.progress import SILENT
    from tenfold.run import Run
    from tenfold.runtimes import open_predictor

    found = {}
    for path in arguments.run:
        run = Run.open(path)
        dataset, predictor, temperature = own_data(run, SILENT), open_predictor(run), run.calibration()["temperature"]
        splits = [split for name, split in dataset.splits().items() if name in ("calibration", "test")]
        logits = np.concatenate([predictor.logits(split.images) for split in splits])
        labels = np.concatenate([split.labels for split in splits])
        found[run.name] = split_again(labels, logits, temperature, arguments.splits)
    return found


def accuracy(arguments: argparse.Namespace) -> dict[str, Any]:
    """scene → fraction of data sets in which the guarantee holds, and the part answered of the best."""
    return {scene.name: simulate(scene, arguments.sets) for scene in SCENES}


def folds(arguments: argparse.Namespace) -> dict[str, Any]:
    """learner and number of images → how the sets and the accepted answers of the ensemble do."""
    return {f"{learner}, {images} images": decided_folds.simulate(images, learner, arguments.sets)
            for learner in decided_folds.PENALTIES for images in (60, 100, 300, 1000)}


def unknowns(arguments: argparse.Namespace) -> dict[str, Any]:
    """The areas under the ROC curve of each score, by draw and on average, and their differences to softmax."""
    if arguments.kind == "far":
        return unknown_areas([(arguments.run, stranger_images())])
    from tenfold import jobs
    from tenfold.data import open_dataset
    from tenfold.recipe import text

    dataset = open_dataset("cifar10")
    drawn = []
    for draw in range(arguments.first, arguments.first + arguments.draws):
        chosen = np.sort(np.random.default_rng(draw).permutation(len(dataset.classes))[:KNOWN])
        values = {"data.classes": [dataset.classes[i] for i in chosen], "train.seed": draw, "data.source": "cifar10"}
        recipe = (text.recipe(jobs.probe_sections("EfficientNetLite0"), arguments.set, {**BACKBONE, **values})
                  if arguments.kind == "photos" else text.load("cifar-cnn", arguments.set, values))
        run = jobs.train(recipe, runs=arguments.runs, name=arguments.kind, resume=True)
        assert dataset.test is not None
        others = np.flatnonzero(~np.isin(dataset.test.labels, chosen))
        drawn.append((run.path, {"other classes": np.asarray(dataset.test.images[others])}))
    return unknown_areas(drawn)


def cost(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the prediction of 500 images and of the rules on top of it, and the bytes of the rules."""
    import json

    from tenfold import modelfile
    from tenfold.decisions.rules import Rules
    from tenfold.run import Run
    from tenfold.runtimes import open_predictor

    run = Run.open(arguments.run)
    facts, predictor = modelfile.facts(run.path / "model.keras"), open_predictor(run)
    rules = Rules.read(facts)
    assert rules is not None
    images = np.random.default_rng(0).integers(0, 256, (500, *predictor.shape), np.uint8)
    logits, features = predictor.logits_and_features(images)

    def decide() -> None:
        p = rules.probabilities(logits)
        rules.decide(p, logits, features, rules.statistics(images))
        for each in rules.sets:
            each.shown(p)

    plain, with_features, deciding = (_seconds(call) for call in (
        lambda: predictor.predict(images), lambda: predictor.logits_and_features(images), decide))
    return {"predict": plain, "logits_and_features": with_features, "decide": deciding,
            "fraction": (with_features + deciding) / plain - 1, "bytes": len(json.dumps(facts["decisions"]))}


def _seconds(call: Any, times: int = 9) -> float:
    """The median duration of a call."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def targets(result: dict[str, Any]) -> list[Target]:
    """The figures of `unknowns` and `cost` that have targets, by the command that measured them."""
    found = result["results"]
    if "bytes" in found:
        return [target("time of the rules ÷ time of a prediction", found["fraction"], most=0.1),
                target("rules in the model file, MB", found["bytes"] / 1e6, most=2)]
    mean, difference = 100 * found["chosen"]["mean"], found["difference"]
    if " far" in result["command"]:
        return [target("mean area under the ROC curve, points", mean, least=95)]
    low, high = (100 * end for end in difference["interval"])
    gains, half = over_draws(found)
    value, listed = 100 * difference["mean"], ", ".join(f"{100 * gain:+.1f}" for gain in gains)
    further = f"{value - 100 * half:.1f}, {value + 100 * half:.1f}"
    return [target(f"mean area under the ROC curve, {mean:.1f} points, minus that of the maximum softmax: these draws "
                   f"[{low:.1f}, {high:.1f}], further draws [{further}]; by draw {listed}", value, least=3)]


def coverage_table(result: dict[str, Any]) -> str:
    """The Markdown table of `coverage`."""
    lines = ["| run | sets | raw quantile covers | sets shown cover | classes in a set |", "|---|---|---|---|---|"]
    lines += [f"| {run} | {name} | {each['raw']:.2%} | {each['shown']:.2%} | {each['size']:.2f} |"
              for run, found in result["results"].items() for name, each in found.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    each = commands.add_parser("coverage")
    each.add_argument("run", nargs="+", type=Path)
    each.add_argument("--splits", type=positive, default=200)
    each.set_defaults(measure=coverage)
    each = commands.add_parser("accuracy")
    each.add_argument("--sets", type=positive, default=2000)
    each.set_defaults(measure=accuracy)
    each = commands.add_parser("folds")
    each.add_argument("--sets", type=positive, default=1000)
    each.set_defaults(measure=folds)
    each = commands.add_parser("unknowns")
    each.add_argument("kind", choices=("classes", "photos", "far"))
    each.add_argument("run", nargs="?", type=Path)
    each.add_argument("--draws", type=positive, default=5)
    each.add_argument("--first", type=int, default=0, help="number of the first draw: others are drawn from there on")
    each.add_argument("--runs", type=Path, default=Path("runs"))
    each.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    each.set_defaults(measure=unknowns)
    each = commands.add_parser("cost")
    each.add_argument("run", type=Path)
    each.set_defaults(measure=cost)
    for command in commands.choices.values():
        command.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if getattr(arguments, "kind", "") == "far" and arguments.run is None:
        parser.error("unknowns far: expected the path of a run")
    write(arguments.json, {**origin(), "results": arguments.measure(arguments)})


if __name__ == "__main__":
    main()
