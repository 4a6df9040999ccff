"""Clusters of Ray on this machine, for tests: scripts that start nodes and kill them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tenfold.extras import installed

needs_ray = pytest.mark.skipif(not installed("ray"), reason="Ray is not installed")


def ran(script: str, folder: Path) -> str:
    """Standard output of a script in a process of its own, because Ray stays in a process until its end."""
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=400,
                          cwd=folder, env={**os.environ, "PYTHONPATH": paths, "TENFOLD_THREADS": "1"}, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return found
