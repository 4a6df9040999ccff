"""Measure shipped recipes and write what was measured into their headers.

    python -m benchmarks.recipes [NAME …] [--seeds 3] [--runs DIR]

Trains each recipe on its own data set with that many seeds, in full, one after the other. The header
then states the machine, the seconds of training (the median epoch of all runs × the median number of epochs:
other work on the machine slows single epochs down), and the accuracy on the test split as mean ± standard
deviation over the seeds.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from pathlib import Path

from tenfold import pipeline
from tenfold.environment import machine
from tenfold.recipe import Recipe, header, read, shipped
from tenfold.run import Run
from tenfold.terminal import terminal_watcher

RECIPES = Path(__file__).parent.parent / "tenfold" / "recipes"
FACTS = ("machine", "seconds", "accuracy")


def measure(name: str, seeds: int, runs: Path) -> dict[str, str]:
    """Train a recipe with seeds 0, 1, … and state its facts as header lines."""
    made: list[Run] = []
    for recipe in pipeline.seeds(Recipe.load(name), seeds):
        with terminal_watcher() as watcher:
            made.append(pipeline.train(recipe, runs=runs, watcher=watcher))
    return facts(made)


def facts(runs: list[Run]) -> dict[str, str]:
    """The header lines that finished runs of one recipe bear out."""
    accuracies = [100 * run.metrics()["test"]["accuracy"]["value"] for run in runs]
    epoch = statistics.median(record["seconds"] for run in runs for record in run.history())
    epochs = [len(run.history()) for run in runs]
    environment = runs[0].environment()
    test = environment["dataset"]["splits"]["test"]
    images = f"all {test['count']:,} test images"
    if test["partial"]:
        whole = f"{test['expected']:,} test images" if test["expected"] else "a partial test split"
        images = f"{test['count']:,} of {whole}"
    spread = f" ± {statistics.stdev(accuracies):.1f}" if len(runs) > 1 else ""
    return {
        "machine": f"{environment['machine']['cores']} cores of {environment['machine']['processor']} "
                   f"({', '.join(environment['machine']['units'])}), {environment['precision']}",
        "seconds": f"{epoch * statistics.median(epochs):.0f} ({_span(epochs)} epochs of {epoch:.1f})",
        "accuracy": f"{statistics.mean(accuracies):.1f} %{spread} (n = {len(runs)} seeds, {images})",
    }


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
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; none: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"))
    arguments = parser.parse_args()
    for name in arguments.names or shipped():
        measured = measure(name, arguments.seeds, arguments.runs)
        path = RECIPES / f"{name}.toml"
        path.write_text(with_facts(read(name)[1], measured), encoding="utf-8")
        stated = header(path.read_text(encoding="utf-8"))
        print(json.dumps({"recipe": name, **stated, "machine": machine()}), flush=True)


if __name__ == "__main__":
    main()
