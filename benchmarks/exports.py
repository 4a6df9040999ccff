"""Every family of networks in every export format: agreement, size, speed, and what int8 costs.

    python -m benchmarks.exports [FAMILY …] [--json FILE]

Trains each family for moments on a part of CIFAR-10 (TENFOLD_DATA), exports it in every format and measures it with
`tenfold bench`. docs/export.md shows the result as a table: `make docs`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import record
from tenfold import bench, jobs
from tenfold.errors import TenfoldError
from tenfold.recipe import Recipe
from tenfold.registry import FORMATS
from tenfold.run import Run

DATA = {"data.source": "cifar10", "data.train_size": 4000, "data.validation": 0.1, "train.epochs": 3}
BATCHES = (1, 64)
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("mlp", {}),
    "cifar-cnn": ("cifar-cnn", {}),
    "speednet": ("speed", {"train.image_scales": [], "train.batch_size": 100, "evaluate.tta": None}),
}
PROBES = {
    "EfficientNetLite0, 96 pixels, probe": ("EfficientNetLite0", 96),
    "ResNet50, 64 pixels, probe": ("ResNet50", 64),
}
NAMES = [*FAMILIES, *PROBES]
DOCS = Path(__file__).parent.parent / "docs" / "export.md"
START, END = "<!-- benchmarks/results/exports.json -->\n", "<!-- end -->\n"


def trained(family: str, runs: Path) -> Run:
    """A run of the family."""
    if family in FAMILIES:
        recipe, more = FAMILIES[family]
        return jobs.train(Recipe.load(recipe).replace(DATA | more), runs=runs, name="run")
    backbone, side = PROBES[family]
    weights = {} if backbone == "EfficientNetLite0" else {"model.weights": "none"}
    return jobs.probe(backbone, runs=runs, name="run", overrides={
        "data.source": "cifar10", "data.train_size": 1500, "data.validation": 0.2, "model.image_size": side, **weights})


def measure(family: str) -> dict[str, Any]:
    """Train, export in every format, and measure one family."""
    with tempfile.TemporaryDirectory(prefix="tenfold-exports-") as folder:
        run = trained(family, Path(folder))
        exports = {name: _export(run, name, False) for name in FORMATS.names()}
        exports |= {f"{name} int8": _export(run, name, True) for name in FORMATS.names() if FORMATS.get(name).quantize}
        runtimes = {each.runtime: each.to_dict() for each in bench.bench(run, BATCHES, 3)}
    return {"exports": exports, "runtimes": runtimes}


def _export(run: Run, format: str, int8: bool) -> dict[str, Any]:
    try:
        made = jobs.export(run, format, int8=int8, lose=100).to_dict()
    except TenfoldError as error:
        return {"error": str(error)}
    return {key: value for key, value in made.items() if key not in ("path", "facts")}


def table(results: dict[str, Any]) -> str:
    """The Markdown table of families and formats."""
    lines = ["| family | format | largest difference | same class | accuracy, points | MB | images/s | p50 ms |",
             "|---|---|---|---|---|---|---|---|"]
    for family, found in results["families"].items():
        for name, made in found["exports"].items():
            if "error" in made:
                lines.append(f"| {family} | {name} | {made['error']} | | | | | |")
                continue
            interval = "" if made["low"] is None else f" [{made['low']:+.1f}, {made['high']:+.1f}]"
            one, many = _speeds(found["runtimes"].get(name))
            lines.append(f"| {family} | {name} | {made['largest']:.0e} | {100 * made['same']:.1f} % | "
                         f"{made['accuracy']:+.1f}{interval} | {made['bytes'] / 1e6:.1f} | {many} | {one} |")
    machine = results["machine"]
    return "\n".join([*lines, "", f"Measured by `{results['command']}` on {machine['threads']} threads of "
                      f"{machine['processor']}. images/s is the median of three rounds in batches of 64; p50 is the "
                      "median latency of one image.", ""])


def _speeds(runtime: dict[str, Any] | None) -> tuple[str, str]:
    if runtime is None:
        return "–", "–"
    speeds = {each["batch"]: each for each in runtime["speeds"]}
    return f"{speeds[1]['p50']:.2f}", f"{speeds[64]['images_per_second']:,.0f}"


def page() -> str:
    """docs/export.md with the table of the committed result."""
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(START)
    results = record.read("exports")
    shown = table(results) if results else "Not measured.\n"
    return f"{before}{START}\n{shown}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", type=record.one_of(NAMES), default=NAMES)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    arguments = parser.parse_args()
    families = {name: measure(name) for name in arguments.families}
    record.write(arguments.json, {"families": families, **record.origin()})


if __name__ == "__main__":
    main()
