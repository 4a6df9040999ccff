"""A small measurement runs from the command to the file, and what does not fit is said to be absent."""

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


def measured(folder: Path, *more: str) -> Any:
    target = folder / "large-split.json"
    command = [sys.executable, "-m", "benchmarks.large_split", "--gib", "0.004", "--rounds", "1", "--json", str(target),
               "--folder", str(folder), *more]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return json.loads(target.read_text())


def test_the_files_are_those_of_numpy(tmp_path: Path) -> None:
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
def test_with_too_little_memory_there_is_no_result(tmp_path: Path) -> None:
    found = measured(tmp_path, "--limit", "0.05")
    assert "absent" in found["mapped"]
    assert "ratio" not in found
