"""Files for older versions of Keras, written with the expected predictions and compared with them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.old_keras import contender, report, write
from benchmarks.side_by_side import PROGRAMS


def test_written_files_hold_the_predictions_of_the_current_keras(tmp_path: Path) -> None:
    (files := tmp_path / "files").mkdir()
    write(files, ["mlp"])
    (files / "broken.keras").write_bytes(b"")
    (files / "broken.npz").write_bytes((files / "mlp.npz").read_bytes())
    run = subprocess.run([sys.executable, PROGRAMS / "keras_load.py", files], capture_output=True, text=True,
                         env={"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "", "HOME": str(tmp_path)})
    assert not run.returncode, run.stderr
    lines, good = report(json.loads(run.stdout.splitlines()[-1]))
    assert not good
    assert [line.split(": ", 2)[1] for line in lines] == ["broken", "mlp"]
    assert "NOT THE SAME: " in lines[0]
    assert "differs by" in lines[1]
    assert "NOT THE SAME" not in lines[1]


def test_a_different_prediction_is_reported() -> None:
    lines, good = report({"version": "3.4.1", "backend": "jax", "differences": {"mlp": 0.1}})
    assert (lines, good) == (["keras 3.4.1 on jax: mlp: NOT THE SAME: differs by 1.0e-01"], False)


def test_each_keras_version_has_a_separate_environment(tmp_path: Path) -> None:
    found = contender("3.4", tmp_path)
    assert found.environment.name == "keras-3.4"
    assert found.environment.requirements[0] == "keras==3.4.*"
