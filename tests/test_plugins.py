"""Models and data sets that users register in files of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import tenfold
from tenfold.cli import app
from tenfold.errors import RunError, UsageError
from tenfold.plugins import load_file
from tenfold.registry import DATASETS, MODELS
from tenfold.run import Run

PLUGIN = '''
from tenfold.data import Access, Dataset, open_dataset
from tenfold.data.source import source
from tenfold.registry import DATASETS, MODELS

@MODELS.add("tiny")
def tiny(layers, x, *, width: int = 4):
    """A small network."""
    return layers.flatten()(layers.max_pool()(layers.conv(width, activation="relu")(x)))

@DATASETS.add("few-digits")
@source(where=lambda root: "here")
def few_digits(options: str, access: Access) -> Dataset:
    """The digits of scikit-learn."""
    return open_dataset("digits")
'''


def command(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def forget() -> None:
    """Leave the process as it was before the plugin was loaded."""
    MODELS._entries.pop("tiny", None)
    DATASETS._entries.pop("few-digits", None)
    sys.modules.pop("tenfold_plugin_mine", None)
    os.environ.pop("TENFOLD_PLUGIN", None)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(plugin: Path) -> Run:
    """A run of the own model, trained from the command."""
    recipe = plugin.with_name("tiny.toml")
    recipe.write_text('model = {name = "tiny", width = 6}\ntrain = {epochs = 1}\n', encoding="utf-8")
    trained = command("--plugin", plugin, "train", recipe, "--data", "digits", "--runs", plugin.with_name("runs"))
    forget()
    assert trained.exit_code == 0, trained.output
    return Run.open(plugin.with_name("runs") / "tiny-digits-1")


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    forget()


def test_a_run_of_an_own_model_is_used_without_its_file(run: Run) -> None:
    before = run.metrics()["test"]["accuracy"]
    assert run.recipe().model.options == {"width": 6}
    assert tenfold.evaluate(run, splits="test")["test"]["accuracy"] == before
    assert tenfold.predict(run, np.zeros((8, 8)))[0].label
    assert len(tenfold.compare(run)) == 1


def test_training_a_run_of_an_own_model_needs_its_file(run: Run, plugin: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run.path, tmp_path / "copy")
    refused = command("resume", copy, "--epochs", 2)
    assert refused.exit_code == 2
    assert "model 'tiny' is registered in a file of your own; expected that file: tenfold --plugin" in \
        refused.stderr.splitlines()[-1]
    resumed = CliRunner(env={"TENFOLD_PLUGIN": str(plugin)}).invoke(app, ["resume", str(copy), "--epochs", "2"])
    assert resumed.exit_code == 0, resumed.output


WORKERS = {
    "tune": ["tune", "tiny.toml", "--data", "few-digits", "--trials", 2, "--final-seeds", 1, "--space", "space.toml"],
    "study": ["study", "two.toml", "--data", "few-digits"],
}


@pytest.mark.parametrize("name", WORKERS)
def test_worker_processes_load_the_file_too(
    name: str, run: Run, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plugin.parent)
    Path("space.toml").write_text('[search]\n"model.width" = {choices = [2, 6]}\n', encoding="utf-8")
    Path("two.toml").write_text('models = [{recipe = "tiny.toml"}, {recipe = "tiny.toml", name = "wide", '
                                'model = {width = 8}}]\n', encoding="utf-8")
    done = command("--plugin", plugin.name, *WORKERS[name], "--workers", 2, "--runs", tmp_path)
    assert done.exit_code == 0, done.output
    found = [Run(path.parent) for path in tmp_path.rglob("recipe.toml")]
    assert {each.recipe().model.name for each in found} == {"tiny"}
    assert {each.status().state.value for each in found} == {"finished"}


def test_a_run_on_an_own_data_set_says_what_it_needs(run: Run, plugin: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    recipe = (copy / "recipe.toml").read_text(encoding="utf-8")
    (copy / "recipe.toml").write_text(recipe.replace('source = "digits"', 'source = "few-digits"'), encoding="utf-8")
    with pytest.raises(RunError, match=r"^[^\n]*or data set[^\n]*tenfold --plugin FILE\.py, or import it first$"):
        tenfold.evaluate(copy)
    load_file(plugin)
    assert "test" in tenfold.evaluate(copy, splits="test")


def test_an_installed_package_registers_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(PLUGIN, encoding="utf-8")
    (tmp_path / "theirs-1.dist-info").mkdir()
    (tmp_path / "theirs-1.dist-info" / "METADATA").write_text("Name: theirs\nVersion: 1\n", encoding="utf-8")
    (tmp_path / "theirs-1.dist-info" / "entry_points.txt").write_text("[tenfold.plugins]\nmine = theirs\n", "utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    def listed() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "tenfold", "data", "list"], capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": path})

    assert "few-digits" in listed().stdout
    (tmp_path / "theirs.py").write_text("import nowhere\n", encoding="utf-8")
    done = listed()
    assert done.returncode == 2
    assert "the plugin mine (theirs) can't be imported: ModuleNotFoundError: No module named 'nowhere'" in done.stderr


@pytest.mark.parametrize(("name", "content", "words"), [
    ("nowhere.py", None, "expected a Python file"), ("notes.txt", "x = 1", "expected a Python file"),
    ("bad.py", "x = (", "SyntaxError"), ("raises.py", "1 / 0", "ZeroDivisionError: division by zero"),
    ("twice.py", "from tenfold.registry import MODELS\nMODELS.get('cnn')\nMODELS.add('cnn')(1)",
     "two models are named")])
def test_a_faulty_file_is_one_line(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        load_file(tmp_path / name)
    assert "\n" not in str(caught.value)
