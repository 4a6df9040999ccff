"""Run programs in turn, each in its own process, round by round, and compare them within a round.

The speed of a machine drifts, so only figures measured close together can be compared. The order is A1 B1 C1 A2 B2
C2 …; results are the median over the rounds and a ratio for every round.
"""

from __future__ import annotations

import compileall
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.environments import PRESENT, AbsentError, Environment

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Contender:
    """A program, the environment it runs in, its arguments and environment variables."""

    name: str
    program: str
    arguments: tuple[str, ...] = ()
    environment: Environment = PRESENT
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, environments: Path, install: bool = True, more: Sequence[str] = ()) -> dict[str, Any]:
        """The program's JSON output with its `peak_memory_mib`. Raises AbsentError if there is no result."""
        python = self.environment.python(environments, install)
        # Tenfold's programs import Tenfold and each other; peers see only their own environment.
        start = ["-m", f"benchmarks.programs.{self.program}"] if self.program.startswith("tenfold") else [
            str(PROGRAMS / f"{self.program}.py")]
        output, peak = finish([python, *start, *self.arguments, *more], self.variables)
        return {**json.loads(output.splitlines()[-1]), "peak_memory_mib": peak}


def finish(command: Sequence[str], variables: Mapping[str, str] | None = None) -> tuple[str, float]:
    """Run a command to its end: (standard output, peak of its resident memory in MiB).

    On Linux a process begins with the peak of the one that started it: callers keep themselves small.
    Raises AbsentError, with the last line that it wrote to standard error, if it failed.
    """
    _compile()
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    paths = {"PYTHONPATH": str(ROOT)} if command[0] == sys.executable else {}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                                   env={**inherited, **paths, **(variables or {})})
        assert process.stdout is not None
        with process.stdout:
            output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            said = errors.read().strip().splitlines() or [f"exit code {process.returncode}"]
            raise AbsentError(f"{Path(command[0]).name} {' '.join(command[1:3])} failed: {said[-1]}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return output, round(usage.ru_maxrss / unit, 1)


@functools.cache
def _compile() -> None:
    """Compile Tenfold to bytecode, as pip does for the peers; PYTHONDONTWRITEBYTECODE may keep Python from it."""
    compileall.compile_dir(ROOT / "tenfold", quiet=1)


def rounds(contenders: Sequence[Contender], count: int, environments: Path, install: bool = True,
           ) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """(results by name, one per round; for absent programs the reason by name).

    A contender that fails in any round is absent: no ratio is made of fewer rounds than the others had.
    """
    results: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in contenders}
    absent: dict[str, str] = {}
    for i in range(count):
        for contender in contenders:
            if contender.name in absent:
                continue
            try:
                result = contender.run(environments, install)
            except AbsentError as reason:
                absent[contender.name] = str(reason)
                results.pop(contender.name)
                log(f"round {i + 1}: {contender.name}: absent: {reason}")
            else:
                results[contender.name].append(result)
                log(f"round {i + 1}: {contender.name}: {result.get('images_per_second', '')} images/s")
    return results, absent


def log(message: str) -> None:
    """Progress, on standard error."""
    print(message, file=sys.stderr, flush=True)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest, highest and number of values."""
    return {"median": significant(statistics.median(values)), "low": significant(min(values)),
            "high": significant(max(values)), "n": len(values)}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Median and spread of ours ÷ theirs, taken round by round. Raises ValueError for unequal numbers of rounds."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])


def significant(value: float) -> float:
    """Rounded to four significant digits."""
    return float(f"{value:.4g}")
