"""Start-up time: `tenfold --help` and `import tenfold`, as whole processes.

    python -m benchmarks.startup [--rounds 10] [--json FILE]

Also measures Python without any import: all three include its start.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import record
from benchmarks.side_by_side import finish, spread

COMMANDS = {
    "tenfold --help": [sys.executable, "-c", "from tenfold.cli import main; main()", "--help"],
    "import tenfold": [sys.executable, "-c", "import tenfold"],
    "python": [sys.executable, "-c", "pass"],
}


def measure(count: int) -> dict[str, list[float]]:
    """Wall seconds of every command, once per round; the first round fills the file cache and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for i in range(count + 1):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            finish(command)
            if i > 0:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=record.positive, default=10)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    arguments = parser.parse_args()
    seconds = {name: spread(of) for name, of in measure(arguments.rounds).items()}
    record.write(arguments.json, {"seconds": seconds, **record.origin()})


if __name__ == "__main__":
    main()
