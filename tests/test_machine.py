"""The machine: what is chosen and why, what is refused, and what a process computes with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import tenfold
from tenfold import machine
from tenfold.cli import app
from tenfold.errors import UsageError
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.runtimes.fast import Fast


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network, trained for moments on the handwritten digits."""
    model = {"name": "cnn", "filters": [4], "dense": [8]}
    recipe = Recipe.from_dict({"model": model, "train": {"epochs": 1, "precision": "float32"}}, name="small")
    return tenfold.train(recipe, "digits", runs=tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("device", ["gpu", "cuda:0", ""])
def test_a_device_that_does_not_exist_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_DEVICE", device)
    for look in (machine.check, machine.configure, machine.current):
        with pytest.raises(UsageError, match="expected cpu or cuda"):
            look()


def test_a_missing_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="finds no GPU"):
        machine.check()


@pytest.mark.parametrize("threads", ["0", "many", "-1", "1.5", "", "1025", "9" * 5000])
def test_a_wrong_number_of_threads_is_refused(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_THREADS", threads)
    with pytest.raises(UsageError, match="TENFOLD_THREADS"):
        machine.check()


def test_more_threads_than_cores_are_used_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setenv("TENFOLD_THREADS", str(machine.cores()))
    machine.check(told.append)
    assert not told
    monkeypatch.setenv("TENFOLD_THREADS", str(machine.cores() + 1))
    machine.check(told.append)
    assert machine.current().threads == machine.cores() + 1
    assert len(told) == 1
    assert "cores" in told[0]


@pytest.mark.parametrize(("limit", "expected"), [("1", 1), ("1024", machine.cores()), ("4,2", machine.cores()),
                                                  ("0", machine.cores()), ("", machine.cores())])
def test_openmps_limit_of_threads_is_kept_unless_ours_is_set(
    limit: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENFOLD_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert machine.threads() == expected
    monkeypatch.setenv("TENFOLD_THREADS", "2")
    assert machine.threads() == 2


def test_the_choice_of_precision_has_a_reason() -> None:
    precision, reason = machine.choose_precision()
    units = machine.processor_units()
    assert (precision == "bfloat16") == (units["AMX-BF16"] or units["AVX512-BF16"])
    assert "BF16" in reason
    assert machine.choose_precision("float32") == ("float32", "set explicitly")


@pytest.fixture
def threads_kept() -> Iterator[None]:
    """Gives PyTorch back the threads that it had."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads_kept")
def test_describing_the_machine_changes_nothing_and_configuring_applies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("TENFOLD_THREADS", "2")
    told = machine.current("float32")
    assert torch.get_num_threads() == 1
    assert machine.configure("float32") == told
    assert torch.get_num_threads() == told.threads == 2


def test_the_variables_are_checked_without_the_engine() -> None:
    program = "import sys, tenfold.machine; tenfold.machine.check(); sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "TENFOLD_DEVICE": "cpu", "TENFOLD_THREADS": "1"}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0


# ----------------------------------------------------------------------------------------------------
# everything that computes


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A black square."""
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    return tmp_path / "black.png"


@pytest.mark.parametrize("variable", ["TENFOLD_DEVICE", "TENFOLD_THREADS"])
@pytest.mark.parametrize("words", [
    "train mlp --data nowhere", "probe MobileNetV2 --data nowhere", "study quick --data nowhere", "demo",
    "resume RUN --epochs 2", "evaluate RUN", "predict RUN IMAGE", "explain RUN", "explain RUN IMAGE",
])
def test_every_command_checks_the_machine_before_the_data(
    words: str, variable: str, run: Run, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = shutil.copytree(run.path, tmp_path / "copy")
    recipe = (copy / "recipe.toml").read_text(encoding="utf-8")
    (copy / "recipe.toml").write_text(recipe.replace('"digits"', '"nowhere"'), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "0")
    places = {"RUN": str(copy), "IMAGE": str(image)}
    refused = CliRunner().invoke(app, [places.get(word, word) for word in words.split()])
    assert refused.exit_code == 2
    assert f"tenfold: {variable}: received '0'; expected " in refused.output
    assert not (tmp_path / "runs").exists()


def test_doctor_reports_invalid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_THREADS", "0")
    told = CliRunner().invoke(app, ["doctor"])
    assert told.exit_code == 0
    assert "TENFOLD_THREADS: received '0'" in " ".join(told.output.split())
    assert "processor" in told.output


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("what", ["predict", "evaluate", "explain"])
@pytest.mark.usefixtures("threads_kept")
def test_predictions_use_the_requested_threads(
    what: str, threads: int, run: Run, image: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    used, rows = [], Fast._rows

    def watched(self: Fast, *arguments: Any) -> np.ndarray:
        used.append(torch.get_num_threads())
        return rows(self, *arguments)

    monkeypatch.setattr(Fast, "_rows", watched)
    monkeypatch.setenv("TENFOLD_THREADS", str(threads))
    torch.set_num_threads(3)
    more = {"evaluate": [], "predict": [str(image), "--runtime", "fast"]}.get(what, [str(image)])
    done = CliRunner().invoke(app, [what, str(run.path), *more])
    assert set(used) == {threads}, done.output
    if what == "evaluate":
        speed = run.read_json("inference.json")
        assert (speed["threads"], speed["precision"]) == (threads, "float32")
