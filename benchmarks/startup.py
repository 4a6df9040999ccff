"""Start-up time: `tenfold --help`, `import tenfold` and short runs, as whole processes.

    python -m benchmarks.startup [--rounds 10] [--json FILE]

A short run trains one epoch, scores, draws and reports. MNIST comes from TENFOLD_DATA. Also measures Python without
any import: all include its start.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import record
from benchmarks.side_by_side import finish, spread

TENFOLD = [sys.executable, "-c", "from tenfold.cli import main; main()"]
COMMANDS = {
    "tenfold --help": [*TENFOLD, "--help"],
    "import tenfold": [sys.executable, "-c", "import tenfold"],
    "python": [sys.executable, "-c", "pass"],
}
SHORT_RUNS = {
    f"tenfold train mlp --data {data}": [*TENFOLD, "train", "mlp", "--data", data, "--set", "train.epochs=1"]
    for data in ("digits", "mnist")
}


def measure(count: int, commands: Mapping[str, Sequence[str]] = COMMANDS) -> dict[str, list[float]]:
    """Wall seconds of every command, once per round; the first round fills the file cache and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for i in range(count + 1):
        for name, command in commands.items():
            with tempfile.TemporaryDirectory() as runs:
                started = time.perf_counter()
                finish([*command, "--runs", runs] if name in SHORT_RUNS else command)
                if i > 0:
                    seconds[name].append(time.perf_counter() - started)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=record.positive, default=10)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    arguments = parser.parse_args()
    seconds = {name: spread(of) for name, of in measure(arguments.rounds, COMMANDS | SHORT_RUNS).items()}
    record.write(arguments.json, {"seconds": seconds, **record.origin()})


if __name__ == "__main__":
    main()
