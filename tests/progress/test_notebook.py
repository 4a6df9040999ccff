"""In a notebook a training shows one live output; in plain Python it is silent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tenfold
from tenfold.errors import UsageError

TRAIN = """import tenfold
run = tenfold.train("mlp", "digits", runs={runs!r}, name="noted")"""


@pytest.fixture
def outputs(tmp_path: Path) -> Any:
    """What a cell that trains shows when a real kernel runs it."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TRAIN.format(runs=str(tmp_path)))])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return notebook.cells[0].outputs


@pytest.mark.filterwarnings("default")
def test_training_in_a_notebook_updates_one_output(outputs: Any) -> None:
    assert [output.output_type for output in outputs] == ["display_data"]
    shown = outputs[0].data["text/html"]
    assert "finished" in shown
    assert "noted-1" in shown
    assert "<progress" not in shown


def test_training_in_plain_python_prints_nothing(tmp_path: Path) -> None:
    code = TRAIN.format(runs=str(tmp_path)).replace('"digits"', '"shapes:train=300,test=20"')
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_an_invalid_watcher_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^watcher: received a builtin_\w+; expected a tenfold.Watcher"):
        tenfold.train("mlp", "digits", runs=tmp_path / "runs", watcher=print)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
