"""Measure shipped recipes and write the results into their headers.

    python -m benchmarks.recipes [NAME …] [--seeds 3] [--runs DIR]

Trains each recipe on its own data set with that many seeds, in full, one after the other. The header then gives the
machine, the seconds of training, and the test accuracy as mean ± standard deviation over the seeds. Seconds are the
median epoch of all runs × the median number of epochs, because other work on the machine slows single epochs down. If
epochs differ by `train.image_scales`, they are the median of the runs' sums. A recipe that can't be trained here, for
example because its weights can't be downloaded, keeps its header.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from pathlib import Path

from benchmarks.record import one_of, positive
from tenfold import jobs, machine
from tenfold.errors import TenfoldError
from tenfold.progress.bars import terminal_watcher
from tenfold.recipe import Recipe, header, read, shipped
from tenfold.run import Run

RECIPES = Path(__file__).parent.parent / "tenfold" / "recipes"
FACTS = ("machine", "seconds", "accuracy")


def measure(name: str, seeds: int, runs: Path) -> dict[str, str]:
    """Train a recipe with seeds 0, 1, … and return the header lines."""
    made: list[Run] = []
    for recipe in jobs.seeds(Recipe.load(name), seeds):
        with terminal_watcher() as watcher:
            made.append(jobs.train(recipe, runs=runs, watcher=watcher))
    return facts(made)


def facts(runs: list[Run]) -> dict[str, str]:
    """The header lines from the finished runs of one recipe."""
    seconds = [[record["seconds"] for record in run.history()] for run in runs]
    epochs = [len(of) for of in seconds]
    if runs[0].recipe().train.image_scales:
        total = statistics.median(map(sum, seconds))
        each = f"{min(map(min, seconds)):.0f} to {max(map(max, seconds)):.0f}"
    else:
        epoch = statistics.median(value for of in seconds for value in of)
        total, each = epoch * statistics.median(epochs), f"{epoch:.1f}"
    environment = runs[0].environment()
    test = environment["dataset"]["splits"]["test"]
    images = f"all {test['count']:,} test images"
    if test["partial"]:
        whole = f"{test['expected']:,} test images" if test["expected"] else "a partial test split"
        images = f"{test['count']:,} of {whole}"
    accuracy = _accuracy(runs, "test")
    if "test_tta" in runs[0].metrics():
        accuracy = f"{_accuracy(runs, 'test_tta')} with test-time augmentation, {accuracy} without"
    seeds = f"{len(runs)} seed{'s' * (len(runs) > 1)}"
    return {
        "machine": f"{environment['machine']['cores']} cores of {environment['machine']['processor']} "
                   f"({', '.join(environment['machine']['units'])}), {environment['precision']}",
        "seconds": f"{total:.0f} ({_span(epochs)} epochs of {each})",
        "accuracy": f"{accuracy} (n = {seeds}, {images})",
    }


def _accuracy(runs: list[Run], split: str) -> str:
    values = [100 * run.metrics()[split]["accuracy"]["value"] for run in runs]
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f} %{spread}"


def _span(values: list[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def with_facts(text: str, measured: dict[str, str]) -> str:
    """A recipe's text with the measured lines at the end of its header."""
    lines = [line for line in text.splitlines() if not re.match(rf"# ({'|'.join(FACTS)}): ", line)]
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    new = [f"# {key}: {measured[key]}" for key in FACTS]
    return "\n".join([*lines[:end], *new, *lines[end:]]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", type=one_of(shipped()), metavar="NAME", help="recipes; none: all")
    parser.add_argument("--seeds", type=positive, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"))
    arguments = parser.parse_args()
    for name in arguments.names or shipped():
        try:
            measured = measure(name, arguments.seeds, arguments.runs)
        except TenfoldError as error:
            print(json.dumps({"recipe": name, "absent": str(error)}), flush=True)
            continue
        path = RECIPES / f"{name}.toml"
        path.write_text(with_facts(read(name)[1], measured), encoding="utf-8")
        stated = header(path.read_text(encoding="utf-8"))
        print(json.dumps({"recipe": name, **stated, "machine": machine.facts()}), flush=True)


if __name__ == "__main__":
    main()
