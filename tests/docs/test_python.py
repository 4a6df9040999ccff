"""The pages on Python: every block and every cell runs, and the public names are documented and typed."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tenfold
from tenfold.run import Run

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("default")  # of the user's own session
def test_every_block_of_the_page_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for block in BLOCKS:
        tree = ast.parse(block)
        exec(compile(tree, "docs/python.md", "exec"), names)
    assert len(Run.list("runs")) == 6
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].startswith("the training images: received 1,797 images and 10 labels; expected")


@pytest.mark.filterwarnings("default")
def test_the_coursework_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell of the notebook, with fewer images and epochs."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)  # a student's session has none
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(DOCS / "coursework.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace('"train.epochs": 8', '"train.epochs": 2').replace(
            "images[:1200], images[1200:], labels[:1200], labels[1200:]",
            "images[:400], images[1200:1500], labels[:400], labels[1200:1500]").replace(
            "images, labels, cv=3", "images[:300], labels[:300], cv=2").replace("seeds(recipe, 3)", "seeds(recipe, 2)")
    NotebookClient(notebook, timeout=600, kernel_name="python3",
                   resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    tables = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert any("test accuracy" in table for table in tables)
    assert any("tied" in table for table in tables)


def test_the_notebook_is_kept_without_outputs() -> None:
    text = (DOCS / "coursework.ipynb").read_text(encoding="utf-8")
    assert '"execution_count": null' in text
    assert not re.search(r'"execution_count": \d|"output_type"', text)


def test_every_public_name_is_on_the_page_and_has_a_docstring() -> None:
    names = PAGE.partition("## Names\n")[2]
    listed = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", names, flags=re.MULTILINE)))
    assert sorted(listed) == sorted(name for name in tenfold.__all__ if name != "__version__")
    for name in listed:
        assert len(inspect.getdoc(getattr(tenfold, name)) or "") > 30, name


USER = '''
from pathlib import Path

import numpy as np

import tenfold
from tenfold import Dataset, Recipe, Run, TenfoldClassifier, TenfoldError, Watcher, compare, evaluate, predict, train
from tenfold.comparison import Leaderboard

x, y = np.zeros((10, 8, 8), np.uint8), [0, 1] * 5
recipe: Recipe = Recipe.load("mlp", {"train.epochs": 1})
data: Dataset = tenfold.open_dataset("digits")


class Mine(Watcher):
    pass


def coursework() -> float:
    try:
        run: Run = train(recipe, (x, y), runs=Path("runs"), watcher=Mine())
        train("mlp", "digits")
        train({"model": {"name": "mlp"}}, data, [], overrides={"train.epochs": 2})
    except TenfoldError as error:
        print(error.code)
    value: float = evaluate("runs/mlp-digits-1", splits=["test"])["test"]["accuracy"]["value"]
    label: str | None = predict(run, [x[0], Path("a.png")])[0].label
    print(label, [row.model for row in compare([run, "runs/mlp-digits-1"])])
    TenfoldClassifier("mlp").fit(x, y).predict(x)
    board: Leaderboard = tenfold.conduct("quick", (x, y), seeds=2, workers=2).board
    best: Path = tenfold.tune("mlp", {"x_train": x, "y_train": y}, trials=2).best
    entries = tenfold.explain(run, [x[0], Path("a.png"), b"png"]).entries
    runs = [train(each, (x, y)) for each in tenfold.seeds(recipe, 3, data=(x, y))]
    print(len(board), best.name, entries[0]["file"], [each.path for each in runs])
    return value


reveal_type(train)
reveal_type(predict(Path("runs/a"), x))
'''


def test_a_users_file_passes_the_strictest_type_check(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    heavy = ("torch", "keras", "pyarrow", "sklearn", "scipy", "matplotlib", "PIL", "optuna", "onnx", "jinja2", "rich")
    sections = "".join(f"[mypy-{name}.*]\nfollow_imports = skip\nignore_missing_imports = True\n" for name in heavy)
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nstrict = True\n{sections}[mypy-tenfold.*]\nfollow_imports = silent\n",
                                       encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "user.py"], cwd=tmp_path,
                          capture_output=True, text=True)
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert not errors
    assert 'Revealed type is "tenfold.prediction.Predictions"' in done.stdout
