"""A small measurement runs from the command to the file, and the limit of memory is one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.large_split import write_split

ROOT = Path(__file__).parent.parent.parent


def measured(folder: Path) -> Any:
    target = folder / "large-split.json"
    command = [sys.executable, "-m", "benchmarks.large_split", "--gib", "0.004", "--rounds", "1", "--json", str(target),
               "--folder", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return json.loads(target.read_text())


def test_numpy_can_load_the_written_split(tmp_path: Path) -> None:
    write_split(tmp_path, "x", 12)
    images, labels = np.load(tmp_path / "x-images.npy", mmap_mode="r"), np.load(tmp_path / "x-labels.npy")
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((12, 32, 32, 3), np.uint8, (12,), np.int64)
    assert images.std() > 70


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_small_measurement_runs(tmp_path: Path) -> None:
    found = measured(tmp_path)
    assert found["ratio"]["n"] == 1
    assert found["mapped"]["images"] == int(0.004 * 2**30 / 3072)
    assert 50 < found["mapped"]["anonymous_mib"] < 2048
    assert [path.name for path in tmp_path.iterdir()] == ["large-split.json"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_training_above_its_memory_limit_ends(tmp_path: Path) -> None:
    write_split(tmp_path, "held", 200)
    command = [sys.executable, "-m", "benchmarks.programs.tenfold_split", str(tmp_path), "held", "--mapped",
               "--recipe", "mlp", "--epochs", "1", "--limit", "0.05"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "MiB; expected at most 51" in done.stderr
