"""Measure all figures of docs/performance.md (hours): `python -m benchmarks`, then `make docs`."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.performance import COMMANDS


def main() -> int:
    failed = [command for command in COMMANDS if subprocess.run([sys.executable, *command.split()[1:]]).returncode]
    for command in failed:
        print(f"failed: {command}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
