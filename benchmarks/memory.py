"""Peak memory of a training: real `tenfold train` commands, in batches of 500.

    python -m benchmarks.memory [RECIPE …] [--data cifar10] [--json FILE]

Measures the peak of the resident set of the whole process, from reading the data to the report. One epoch at the
images' full size is enough to reach it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.environments import AbsentError
from benchmarks.side_by_side import finish, log

BATCH = 500


def measure(recipe: str, data: str, batch: int) -> dict[str, Any]:
    """The peak of a training of one epoch in MiB, or the reason why it is absent."""
    with tempfile.TemporaryDirectory() as runs:
        try:
            _, peak = finish([sys.executable, "-m", "tenfold.cli", "train", recipe, "--data", data, "--runs", runs,
                              "--set", f"train.batch_size={batch}", "--set", "train.epochs=1",
                              "--set", "train.image_scales=[]"])
        except AbsentError as reason:
            return {"absent": str(reason)}
    log(f"{recipe}: {peak:,.0f} MiB")
    return {"peak_memory_mib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", default=["cifar-cnn", "speed"])
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--batch", type=record.positive, default=BATCH)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    arguments = parser.parse_args()
    recipes = {name: measure(name, arguments.data, arguments.batch) for name in arguments.recipes}
    record.write(arguments.json, {
        "recipes": recipes, "data": arguments.data, "batch": arguments.batch, **record.origin()})


if __name__ == "__main__":
    main()
