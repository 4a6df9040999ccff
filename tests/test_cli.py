"""The command as people meet it: what it prints where, its exit codes, and that bad input gets one line."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

import tenfold
from tenfold import modelfile
from tenfold.cli import app
from tenfold.data import open_dataset
from tenfold.errors import UsageError
from tenfold.jobs import executors
from tenfold.recipe import Recipe, shipped
from tenfold.registry import DATASETS
from tenfold.run import Run

DOCS = Path(__file__).parent.parent / "docs"
SMALL = ["mlp", "--data", "digits", "--set", "model.hidden=32", "--set", "train.epochs=2"]
PROGRESS = re.compile(r"(train|validation|calibration|test): [\d,]+ images|disk: up to [\d,.]+ [MG]B|training \S+ →|"
                      r"epoch +\d+/\d+  |scoring the best epoch |data set: |downloading |"
                      r"resume it with |tenfold: warning: ")
LINE = "tenfold: "
LONG = "x" * 300  # longer than a file's name may be


@pytest.fixture(autouse=True)
def sigterm() -> Iterator[None]:
    """`train` takes SIGTERM over; give it back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh working directory, so that `runs/` there shows what was written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Two seeds of a small perceptron on the handwritten digits; `.runs` is their directory."""
    runs = tmp_path_factory.mktemp("made") / "runs"
    before = signal.getsignal(signal.SIGTERM)
    result = _tenfold("train", *SMALL, "--csv", "--h5", "--seeds", "2", "--name", "tiny", "--runs", str(runs))
    signal.signal(signal.SIGTERM, before)
    assert result.exit_code == 0, result.output
    result.runs = runs  # type: ignore[attr-defined]
    return result


@pytest.fixture(scope="module")
def run(trained: Result) -> Path:
    """The first of the two runs; tests that change it take a `copy`."""
    return trained.runs / "tiny-1"  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A run that may be damaged."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A picture."""
    Image.new("RGB", (20, 30), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def _tenfold(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="tenfold")


def _process(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TENFOLD_THREADS": "1", **more}
    return subprocess.run([sys.executable, "-m", "tenfold", *map(str, words)], capture_output=True, text=True,
                          env=environment, timeout=120, check=False)


def _good(*words: object) -> str:
    """Standard output of a command that must succeed."""
    result = _tenfold(*words)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def _complaint(code: int, stderr: str, stdout: str, expected: int) -> str:
    """The one line that a failing command says, progress aside."""
    assert code == expected, stderr
    assert stdout == ""
    said = [line for line in stderr.splitlines() if not PROGRESS.match(line)]
    assert len(said) == 1, stderr
    assert said[0].startswith(LINE)
    assert "unexpected" not in said[0]
    return said[0].removeprefix(LINE)


def _refused(code: int, *words: object) -> str:
    result = _tenfold(*words)
    return _complaint(result.exit_code, result.stderr, result.stdout, code)


def _timeless(metrics: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Metrics without the moment and the count of their scoring."""
    return {split: {k: v for k, v in values.items() if k not in ("scored", "times")}
            for split, values in metrics.items()}


# ----------------------------------------------------------------------------------------------------
# looking around


def test_the_version_is_printed() -> None:
    assert _good("--version") == f"tenfold {tenfold.__version__}\n"


@pytest.mark.parametrize("group", [[], ["data"]], ids=["tenfold", "data"])
def test_help_describes_every_command(group: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = _good(*group, "--help")
    commands = text.partition("Commands:\n")[2].splitlines()
    assert len(commands) >= 3
    assert not [line for line in commands if line.endswith("...") or len(line) > 80]


def test_help_and_import_do_not_import_torch_or_keras() -> None:
    code = ("import sys, tenfold\nfrom tenfold.cli import main\nsys.argv = ['tenfold', '--help']\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
            "print('heavy:', sorted({'torch', 'keras'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "Commands:" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy: []"
    assert done.stderr == ""


def test_recipes_lists_every_shipped_recipe() -> None:
    lines = _good("recipes").splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["recipe", *shipped()]
    facts = json.loads(_good("recipes", "--json"))
    assert list(facts) == list(shipped())
    assert all(fact["title"] for fact in facts.values())


def test_a_recipe_is_shown_as_a_trainable_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(_good("recipes", "cnn2"), encoding="utf-8")
    mine = Recipe.load(tmp_path / "mine.toml")
    assert {**mine.to_dict(), "name": "cnn2"} == Recipe.load("cnn2").to_dict()
    assert "epochs = 77" in _good("recipes", "cnn2", "--set", "train.epochs=77")
    assert json.loads(_good("recipes", "cnn2", "--json", "--set", "train.epochs=77"))["train"]["epochs"] == 77
    for source in ("shapes:train=200,test=60", "😀", '"digits"'):
        shown = json.loads(_good("recipes", "cnn2", "--json", "--set", f"data.source={source}"))
        assert shown["data"]["source"] == source


def test_a_recipe_with_data_shows_its_network() -> None:
    text = _good("recipes", "cnn2", "--data", "digits")
    facts = json.loads(_good("recipes", "cnn2", "--data", "digits", "--json"))
    assert facts["shape"] == [8, 8, 1]
    assert facts["classes"] == [str(i) for i in range(10)]
    # 3×3 convolutions to 32 and 64 channels, then 256 → 128 → 10
    assert facts["parameters"] == (9 + 1) * 32 + (9 * 32 + 1) * 64 + (256 + 1) * 128 + (128 + 1) * 10
    assert facts["flops_per_image"] == 2 * (9 * 32 * 64 + 9 * 32 * 64 * 16 + 256 * 128 + 128 * 10)
    assert f"{facts['parameters']:,}" in text
    assert f"{facts['flops_per_image']:,}" in text
    assert text.count("(Conv2D)") == 2
    assert "Param #" in text


def test_the_data_sets_are_listed() -> None:
    text = _good("data", "list")
    names = [name for name in DATASETS.names() if name != "kept"]
    assert not [name for name in names if f"\n{name} " not in text]
    found = json.loads(_good("data", "list", "--json"))
    assert list(found["data_sets"]) == names
    assert "--data shapes:difficulty=0.5,seed=0,train=5000,test=1000,size=32\n" in text
    assert "number of training images" in text
    assert found["data_sets"]["shapes"]["options"]["size"]["expected"] == "a whole number from 8 to 256"


def test_a_data_set_is_shown_and_drawn(tmp_path: Path) -> None:
    text = _good("data", "show", "digits", "--png", tmp_path / "grid.png")
    assert "1,797 images" in text
    assert "8×8 pixels, 1 channel\n" in text
    assert str(tmp_path / "grid.png") in text
    with Image.open(tmp_path / "grid.png") as picture:
        assert min(picture.size) > 100
    facts = json.loads(_good("data", "show", "digits", "--json", "--set", "data.classes=3,5"))
    assert facts["splits"]["train"]["counts"].keys() == {"3", "5"}
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]
    assert "--png FILE draws" in _good("data", "show", "digits")
    assert json.loads(_good("data", "fetch", "digits", "--json"))["splits"].keys() == {"train"}


def test_doctor_shows_machine_engine_and_data() -> None:
    text = _good("doctor")
    assert not [word for word in ("processor", "threads", "precision", "torch", "cifar10") if word not in text]
    assert json.loads(_good("doctor", "--json"))["versions"]["tenfold"] == tenfold.__version__


def test_a_closed_pipe_is_not_an_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "tenfold.cli", "recipes"], stdout=write, stderr=subprocess.PIPE,
                          text=True, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


# ----------------------------------------------------------------------------------------------------
# training and judging


OF_OTHER_DATA = {"data", "initial.keras", "inspection.json"}  # of own images, and of images and models given in Python


def test_training_writes_all_documented_files(trained: Result) -> None:
    table = (DOCS / "runs.md").read_text(encoding="utf-8")
    documented = {name.strip("/").partition("/")[0] for name in re.findall(r"^\| `([\w./*]+)` \|", table, re.MULTILINE)}
    assert len(documented) >= 11
    runs = trained.runs  # type: ignore[attr-defined]
    assert {path.name for path in runs.iterdir()} == {"tiny-1", "tiny-2"}
    for path in runs.iterdir():
        assert {each.name for each in path.iterdir()} == documented - OF_OTHER_DATA
        kinds = {each.name.partition("-")[0] for each in (path / "checkpoints").iterdir()}
        assert kinds == {"last", "best"}
        assert {each.name for each in (path / "predictions").iterdir()} == {
            f"{split}.{kind}" for split in ("validation", "test") for kind in ("parquet", "csv")}
        assert list((path / "plots").glob("*.png"))
        assert Run.open(path).status()["status"] == "finished"
        assert not [each for each in path.rglob("*") if each.is_file() and not each.stat().st_size]
    assert [Run.open(runs / name).recipe().train.seed for name in ("tiny-1", "tiny-2")] == [0, 1]


def test_training_prints_results_to_stdout_and_progress_to_stderr(trained: Result, run: Path) -> None:
    accuracy = Run.open(run).metrics()["test"]["accuracy"]["value"]
    assert f"{100 * accuracy:.1f} %" in trained.stdout
    assert trained.stdout.count("\nreport  ") == 2
    assert "epoch" not in trained.stdout
    epochs = [line for line in trained.stderr.splitlines() if line.startswith("epoch ")]
    assert len(epochs) == 4
    assert all(len(line) <= 80 for line in epochs)


def test_a_resumed_run_can_be_printed_as_json(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    found = json.loads(_good("resume", copy, "--epochs", "3", "--json"))
    assert found == {"run": str(copy), "metrics": Run.open(copy).metrics()}
    assert len(Run.open(copy).history()) == 3


def test_the_resolved_recipe_repeats_the_run(run: Path) -> None:
    _good("train", run / "recipe.toml")
    again = Run.open("runs/mlp-digits-1")
    assert _timeless(again.metrics()) == _timeless(Run.open(run).metrics())


def test_evaluating_again_gives_the_same_metrics(copy: Path) -> None:
    before = Run.open(copy).metrics()
    (copy / "report.html").unlink()
    assert _timeless(json.loads(_good("evaluate", copy, "--json"))) == _timeless(before)
    assert (copy / "report.html").stat().st_size > 10_000
    text = _good("evaluate", copy)
    assert f"{100 * before['test']['accuracy']['value']:.1f} %" in text


def test_seeds_of_a_recipe_are_compared_as_one_model(run: Path, tmp_path: Path) -> None:
    pair = (run, run.with_name("tiny-2"))
    board = json.loads(_good("compare", *pair, "--by", "loss", "--json", "--html", tmp_path / "page.html"))
    row, = board["rows"]
    assert (row["model"], row["runs"], row["seeds"]) == ("mlp", ["tiny-1", "tiny-2"], [0, 1])
    losses = [Run.open(path).metrics()["test"]["loss"]["value"] for path in pair]
    assert row["metrics"]["loss"]["value"] == pytest.approx(sum(losses) / 2)
    assert "mlp" in (tmp_path / "page.html").read_text(encoding="utf-8")
    header, line, *_ = _good("compare", *pair, "--by", "loss").splitlines()
    assert header.split()[:4] == ["model", "n", "loss", "tied"]
    assert line.split()[:2] == ["mlp", "2"]
    header, line = _good("compare", *pair, "--csv").splitlines()
    assert header.startswith("place,model,n,tied,loss,loss_low,loss_high,loss_sd,accuracy,")
    assert line.startswith("1,mlp,2,True,")


def test_models_are_ranked_and_tested(run: Path, tmp_path: Path) -> None:
    _good("train", *SMALL, "--set", "train.epochs=1", "--runs", tmp_path)
    board = json.loads(_good("compare", run, tmp_path / "mlp-digits-1", "--by", "accuracy", "--json"))
    values = [row["metrics"]["accuracy"]["value"] for row in board["rows"]]
    assert values == sorted(values, reverse=True)
    assert {row["model"] for row in board["rows"]} == {"mlp (epochs 2)", "mlp (epochs 1)"}
    pair, = board["pairs"]
    assert pair["differences"]["accuracy"]["value"] == pytest.approx(values[0] - values[1])
    text = _good("compare", run, tmp_path / "mlp-digits-1")
    assert "differences on the same test images" in text


def test_runs_on_other_test_images_get_a_table_of_their_own(run: Path, tmp_path: Path) -> None:
    _good("train", *SMALL, "--set", "data.seed=5", "--set", "train.epochs=1", "--runs", tmp_path)
    both = (run, tmp_path / "mlp-digits-1")
    text = _good("compare", *both)
    assert [line.split(",")[0] for line in text.splitlines() if line.startswith("group ")] == [
        "group 1: data set digits", "group 2: data set digits"]
    assert "Models on digits are in several groups, because they were tested on different images" in text
    assert len(json.loads(_good("compare", *both, "--json"))["groups"]) == 2
    refused = _tenfold("compare", *both, "--html", tmp_path / "page.html")
    assert refused.exit_code == 2
    assert "received runs on 2 different sets of test images" in refused.stderr


def test_a_narrow_terminal_gets_complete_columns(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.terminal.console.console", lambda: Console(width=80))
    header, line, hidden, note = _good("compare", run, run.with_name("tiny-2")).splitlines()
    assert note.startswith("Two seeds say little")
    assert {"model", "ROC-AUC", "tied"} <= set(header.split())
    assert "parameters" not in header
    assert hidden.startswith("columns left out for lack of space: ")
    assert "parameters" in hidden
    assert all(len(each) <= 80 for each in (header, line))


def test_evaluating_finds_temperature_robustness_and_other_data(copy: Path) -> None:
    text = _good("evaluate", copy, "--calibrate", "--corruptions")
    assert "\nTemperature " in text
    assert [line.split()[0] for line in text.splitlines() if line.startswith(("Pixelate", "JPEG"))]
    run = Run.open(copy)
    assert run.read_json("calibration.json")["temperature"] > 0
    assert (copy / "plots/corruptions.png").is_file()
    result = json.loads(_good("evaluate", copy, "--data", "digits", "--split", "train", "--json"))
    assert result["digits-train"]["count"] == 1797
    overlap = result["digits-train"]["data"]["overlap"]
    assert sum(overlap.values()) == 1797
    assert overlap["test"] == result["test"]["count"]
    assert result["test"] == run.metrics()["test"]
    assert "digits-train" in _good("evaluate", copy)
    (copy / "metrics.json").write_text("{cut")
    _good("evaluate", copy)
    (copy / "calibration.json").write_text("{}")
    refused = _tenfold("evaluate", copy)
    assert refused.exit_code == 1
    assert "(missing temperature, before, after)" in refused.output
    assert f"`tenfold evaluate {copy} --calibrate` writes it again" in refused.output
    _good("evaluate", copy, "--calibrate")


def test_unreadable_images_are_reported_and_the_others_predicted(run: Path, image: Path, tmp_path: Path) -> None:
    """In a process of its own: nothing else reaches standard output, one line standard error."""
    (tmp_path / "bad.png").write_text("no image")
    done = _process("predict", run, tmp_path / "bad.png", image, "--json")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if not PROGRESS.match(line)]
    assert [line.partition(": it is damaged")[0] for line in said] == [
        f"{LINE}{tmp_path}/bad.png: can't be read as an image"]
    bad, good = json.loads(done.stdout)
    assert (bad["label"], good["path"], good["error"]) == (None, str(image), None)
    assert good["probability"] == max(good[f"p_{i}"] for i in range(10))


def test_predictions_as_a_table_and_as_csv(run: Path, image: Path) -> None:
    label = json.loads(_good("predict", run, image, "--json"))[0]["label"]
    header, row, *_ = _good("predict", run, image).splitlines()
    assert header.split() == ["image", "class", "probability", "next", "probability", "set", "decision"]
    assert row.replace(" *", "").split()[:2] == [str(image), label]  # the mark of an image unlike the training's
    header, row = _good("predict", run, image.parent, "--csv").splitlines()
    assert header == ",".join(["path", "label", "probability", "set", "decision", "unlike", "error",
                               *(f"p_{i}" for i in range(10))])
    assert row.startswith(f"{image},{label},0.")


def test_images_unlike_the_training_images_are_marked(run: Run, image: Path, tmp_path: Path) -> None:
    Image.new("L", (8, 8), "white").save(tmp_path / "white.png")
    Image.fromarray(open_dataset("digits").train.images[0, :, :, 0]).save(tmp_path / "zero.png")
    words = ("predict", run, tmp_path / "white.png", tmp_path / "zero.png", "bad.png")
    Path("bad.png").write_text("no image")
    said = _tenfold(*words).stdout.splitlines()
    assert [" * " in line for line in said[1:4]] == [True, False, False]
    assert said[4].startswith("* unlike the training images in brightness or contrast")
    assert [each["unlike"] for each in json.loads(_tenfold(*words, "--json").stdout)] == [True, False, None]
    rows = csv.DictReader(io.StringIO(_tenfold(*words, "--csv").stdout))
    assert [row["unlike"] for row in rows] == ["True", "False", ""]


def test_rules_are_fitted_again_and_used_by_predictions(copy: Path, image: Path) -> None:
    text = _good("calibrate", copy, "--accuracy", "0.8", "--level", "0.7")
    assert "can't support an accuracy of 80 %" in " ".join(text.split())  # after two epochs
    assert [line.split()[0] for line in text.splitlines() if " LAC " in line] == ["70", "70", "90", "95"]
    found = json.loads(_good("calibrate", copy, "--accuracy", "0.8", "--level", "0.7", "--json"))
    assert found == json.loads((copy / "decisions.json").read_text())
    answer, = json.loads(_good("predict", copy, image, "--json", "--level", "0.7"))
    assert answer["label"] in answer["set"]
    assert answer["decision"] in ("accepted", "unsure", "unknown")
    refused = _tenfold("predict", copy, image, "--level", "0.6")
    assert refused.exit_code == 2
    assert "level: received 0.6; expected one of 0.7, 0.9, 0.95; fit it with" in refused.output
    assert _tenfold("calibrate", copy, "--accuracy", "2").exit_code == 2


def test_predictions_without_rules_say_so(copy: Path, image: Path) -> None:
    modelfile.copy(copy / "model.keras", copy / "plain.keras", {"decisions": None})
    (copy / "plain.keras").replace(copy / "model.keras")
    (copy / "exports" / "model.onnx").unlink()
    done = _tenfold("predict", copy, image, "--json")
    assert done.stderr.count("it can't tell when not to answer; fit them with") == 1
    answer, = json.loads(done.stdout)
    assert (answer["set"], answer["decision"]) == (None, None)


def test_the_data_set_of_a_recipe_is_named_and_splits_are_reported_once(elsewhere: Path) -> None:
    words = ["train", "mlp", "--set", "data.source=digits", "--set", "train.epochs=1", "--seeds", "2"]
    said = _tenfold(*words).stderr
    assert said.startswith("data set: digits (--data names another one)\n")
    assert all(said.count(f"\n{split}: ") == 1 for split in ("train", "validation", "test"))


def test_seeds_are_printed_in_order_whichever_ends_first(trained: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, runs = executors.run_all, trained.runs  # type: ignore[attr-defined]
    monkeypatch.setattr(executors, "run_all", lambda *arguments: reversed(list(forward(*arguments))))
    words = ["train", *SMALL, "--seeds", "2", "--name", "tiny", "--runs", str(runs), "--resume", "--json"]
    assert [row["run"] for row in json.loads(_tenfold(*words).stdout)] == [str(runs / "tiny-1"), str(runs / "tiny-2")]


def test_resuming_a_finished_run_has_nothing_to_do(run: Path) -> None:
    before = (run / "status.json").read_bytes()
    result = _tenfold("resume", run)
    assert result.exit_code == 0
    assert "is already finished; to train it further, give --epochs with more than 2" in result.stderr
    assert (run / "status.json").read_bytes() == before


def test_a_run_that_another_process_writes_is_refused_before_data_are_read(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.jobs.own_data.open_dataset", lambda *_, **__: pytest.fail("the data were opened"))
    (copy / "status.json").write_text('{"status": "stopped"}')
    with Run.open(copy).writing():
        for command in ("resume", "evaluate", "explain"):
            assert "another process is writing this run" in _refused(1, command, copy)


def test_images_are_not_explained_by_a_network_without_convolution(
    run: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "model", lambda self: pytest.fail("the model was loaded"))
    assert "its model has no convolution" in _refused(2, "explain", run, image)


# ----------------------------------------------------------------------------------------------------
# bad input: one line, the right exit code, and nothing written


TRAIN = ["train", *SMALL]
USAGE: dict[str, tuple[list[str], str]] = {
    "recipe": (["train", "mpl"], "unknown recipe .* did you mean 'mlp'"),
    "study": (["study", "six-model"], "unknown study .* did you mean 'six-models'"),
    "two formats": (["compare", "nowhere", "--csv", "--json"], "received --csv and --json"),
    "recipe file": (["train", "missing.toml"], "missing.toml: can't be read: No such file"),
    "data set": (["train", "mlp", "--data", "digit"],
                 "unknown file, folder or data set 'digit'; did you mean 'digits'"),
    "data option": (["train", "mlp", "--data", "shapes:sise=9"], "unknown option 'sise'"),
    "tiny images": (["train", "mlp", "--data", "shapes:size=4"], "'4'; expected a whole number from 8"),
    "class": ([*TRAIN, "--set", "data.classes=0,11"], "unknown class '11'"),
    "class twice": ([*TRAIN, "--set", "data.classes=3,3"], "received '3' twice"),
    "section": ([*TRAIN, "--set", "trian.epochs=3"], "unknown key 'trian'; did you mean 'train'"),
    "key": ([*TRAIN, "--set", "train.epoch=3"], "unknown key 'epoch'; did you mean 'epochs'"),
    "value": ([*TRAIN, "--set", "train.optimizer=adm"], "unknown optimizer 'adm'; did you mean 'adam'"),
    "type": ([*TRAIN, "--set", "train.epochs=many"], "train.epochs: received 'many'"),
    "range": ([*TRAIN, "--set", "train.epochs=0"], "train.epochs: received 0"),
    "not a number": ([*TRAIN, "--set", "train.learning_rate=nan"], "received nan"),
    "no value": ([*TRAIN, "--set", "train.epochs"], "expected section.key=value"),
    "empty split": ([*TRAIN, "--set", "data.validation=0.0001"], "which is none"),
    "large split": ([*TRAIN, "--set", "data.validation=5000"], "expected at most"),
    "no validation": ([*TRAIN, "--set", "data.validation=0"], "'val_loss' needs a validation split"),
    "recipe shown": (["recipes", "cnn22"], "unknown recipe .* did you mean 'cnn2'"),
    "no recipe": (["recipes", "--data", "digits"], "need a recipe"),
    "no such table": (["data", "show", "nothing.csv"], "no such file or folder"),
    "data shown": (["data", "show", "mnits"], "did you mean 'mnist'"),
    "data fetched": (["data", "fetch", "cifar"], "did you mean 'cifar10'"),
}


@pytest.mark.parametrize("words", ["trian", "train mlp --foo", "compare", "train mlp --workers x"])
def test_a_word_that_the_command_does_not_know_gives_one_line(words: str) -> None:
    done = _process(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    command = "tenfold" if words == "trian" else f"tenfold {words.split()[0]}"
    assert re.fullmatch(rf"tenfold: .+ See `{command} --help`\n", done.stderr)


def test_the_command_alone_shows_its_help() -> None:
    done = _process()
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: tenfold")
    assert "predict" in done.stderr


@pytest.mark.parametrize("name", USAGE)
def test_a_usage_error_is_reported_in_one_line(name: str, elsewhere: Path) -> None:
    words, reason = USAGE[name]
    assert re.search(reason, _refused(2, *words))
    assert not list(elsewhere.iterdir())


def test_an_empty_data_option_is_refused(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--data "$UNSET"` must not start on what the recipe names."""
    monkeypatch.setenv("TENFOLD_DATA", str(elsewhere))
    assert "data set ''" in _refused(2, "train", "mlp", "--data", "")
    assert not list(elsewhere.iterdir())


def test_all_invalid_settings_are_reported_at_once(elsewhere: Path) -> None:
    result = _tenfold(*TRAIN, "--set", "train.epochs=0", "--set", "train.optimizer=adm", "--set", "model.nam=x")
    assert (result.exit_code, result.stdout) == (2, "")
    head, *lines = result.stderr.splitlines()
    assert head == f"{LINE}recipe mlp: 3 errors"
    assert sorted(line.split(":")[0].strip() for line in lines) == ["model.nam", "train.epochs", "train.optimizer"]
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("words", [["train"], ["predict", "x"], ["train", "mlp", "--seeds", "0"], ["trian"]], ids=str)
def test_an_unparsable_command_line_points_to_help(words: list[str], elsewhere: Path) -> None:
    result = _tenfold(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--help' for help" in result.stderr
    assert "Error: " in result.stderr.splitlines()[-1]
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("kind", ["missing", "a folder", "a file"])
@pytest.mark.parametrize("command", ["evaluate", "compare", "predict"])
def test_a_path_that_is_not_a_run_is_refused(command: str, kind: str, image: Path, tmp_path: Path) -> None:
    path = tmp_path / "norun"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a file":
        path.touch()
    said = _refused(2, command, path, *([image] if command == "predict" else []))
    reason = {"missing": "no such directory", "a folder": "not a run directory", "a file": "is a file"}[kind]
    assert f"norun: {reason}" in said


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes], list[str]]] = {
    "model.keras": ("model.keras", lambda whole: whole[:3000], ["evaluate", "predict"]),
    "status.json": ("status.json", lambda whole: whole[:9], ["compare"]),
    "metrics.json": ("metrics.json", lambda whole: whole[:99], ["compare"]),
    "environment.json": ("environment.json", lambda whole: whole[:99], ["compare", "evaluate"]),
}


@pytest.mark.parametrize(("name", "command"), [(name, each) for name in DAMAGES for each in DAMAGES[name][2]])
def test_a_damaged_run_names_the_file(name: str, command: str, copy: Path, image: Path) -> None:
    file, damage, _ = DAMAGES[name]
    (copy / file).write_bytes(damage((copy / file).read_bytes()))
    if command == "compare":  # the other runs would be ranked; there is none
        assert f"copy is left out: {file}: damaged" in _refused(2, command, copy)
        return
    said = _refused(1, command, copy, *([image] if command == "predict" else []))
    assert said.startswith(f"{copy / file}: ")


def test_an_unknown_metric_is_refused(run: Path) -> None:
    assert "unknown metric 'rocauc'; did you mean 'roc_auc'" in _refused(2, "compare", run, "--by", "rocauc")


def test_predict_refuses_paths_without_images(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "missing.png: no such file or folder" in _refused(2, "predict", run, "missing.png")
    assert "empty: the folder holds no images" in _refused(2, "predict", run, "empty")
    assert "at most one" in _refused(2, "predict", run, "missing.png", "--csv", "--json")


def test_an_invalid_run_name_is_refused(elsewhere: Path) -> None:
    assert "run name '../x' is invalid" in _refused(2, *TRAIN, "--name", "../x")
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("command", [TRAIN, ["study", "quick"], ["demo"], ["probe", "MobileNet"]], ids=lambda c: c[0])
def test_what_can_not_be_a_directory_of_runs_is_refused_before_data_are_read(
    command: list[str], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.jobs.own_data.open_dataset", lambda *_, **__: pytest.fail("the data were opened"))
    (elsewhere / "file").touch()
    for runs, reason in (("file", "is a file"), ("file/runs", "file is a file"), (LONG, "file name too long")):
        assert f"--runs: received {runs}: {reason}; expected a directory" in _refused(2, *command, "--runs", runs)
    assert [path.name for path in elsewhere.iterdir()] == ["file"]


PATHS: dict[str, list[str]] = {
    "run": ["evaluate", "PATH"], "resumed run": ["resume", "PATH"], "runs": ["runs", "PATH"],
    "explained run": ["explain", "PATH"], "compared run": ["compare", "PATH"], "image": ["predict", "RUN", "PATH"],
    "explained image": ["explain", "RUN", "PATH"], "recipe": ["train", "PATH.toml"], "study": ["study", "PATH.toml"],
    "weights": ["probe", "MobileNet", "--data", "digits", "--set", "model.weights=PATH"],
    "directory of runs": [*TRAIN, "--runs", "PATH"], "directory below": [*TRAIN, "--runs", "PATH/below"],
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(("path", "reason"), [(LONG, "ile name too long"), ("loop", "oo many levels of symbolic")],
                         ids=["long", "loop"])
def test_a_path_that_the_system_refuses_is_a_usage_mistake(
    name: str, path: str, reason: str, run: Path, elsewhere: Path
) -> None:
    for loop in ("loop", "loop.toml"):
        os.symlink(loop, loop)
    words = [word.replace("PATH", path).replace("RUN", str(run)) for word in PATHS[name]]
    assert reason in _refused(2, *words)


def test_a_home_directory_of_nobody_is_a_usage_mistake() -> None:
    words = ["probe", "MobileNet", "--data", "digits", "--set", "model.weights=~nobody-at-all/x.h5"]
    assert "no such file" in _refused(2, *words)


@pytest.mark.parametrize("variable", ["TENFOLD_DATA", "TENFOLD_CACHE", "KERAS_HOME"])
def test_a_directory_in_the_environment_that_the_system_refuses_is_named(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tenfold.data import location

    monkeypatch.setenv(variable, LONG)
    read = {"TENFOLD_DATA": location.data_root, "TENFOLD_CACHE": location.feature_root,
            "KERAS_HOME": location.keras_cache}[variable]
    with pytest.raises(UsageError, match=f"^{variable}: received x+: file name too long; expected a directory$"):
        read()


def test_a_run_that_is_named_and_missing_is_not_left_out(run: Path) -> None:
    assert "nowhere: no such directory" in _refused(2, "compare", run, "nowhere")
    assert "is left out" in _good("compare", run, Path(__file__).parent)


def test_a_run_name_that_is_too_long_is_refused(elsewhere: Path) -> None:
    assert "is too long: it has 300 bytes" in _refused(2, *TRAIN, "--name", LONG)
    assert not list(elsewhere.iterdir())


# ----------------------------------------------------------------------------------------------------
# what goes wrong on the way


def test_a_diverged_training_keeps_a_model(image: Path) -> None:
    said = _refused(1, *TRAIN, "--set", "train.optimizer=sgd", "--set", "train.learning_rate=1e30")
    assert "the loss became" in said
    assert "lower train.learning_rate" in said
    run = Run.open("runs/mlp-digits-1")
    assert run.status()["status"] == "diverged"
    assert run.status()["epoch"] == 1
    assert f"in step {run.status()['step']} of epoch 1" in said
    assert run.model().output_shape == (None, 10)
    assert not run.has("metrics.json")
    assert "'diverged'" in _refused(2, "compare", run.path)


@pytest.mark.parametrize("after", [0, 4, 12])
def test_a_full_disk_leaves_no_incomplete_file(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first, the fifth, the thirteenth flush fails, and every one after it."""
    real, calls = os.fsync, iter(range(1000))

    def fsync(descriptor: int) -> None:
        if next(calls) >= after:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    said = _refused(3, *TRAIN)
    assert "No space left on device; free some space" in said
    files = [path for path in Path("runs/mlp-digits-1").rglob("*") if path.is_file()]
    assert len(files) <= after
    assert not [path for path in files if path.name.startswith(".")]
    assert all(json.loads(path.read_text(encoding="utf-8")) for path in files if path.suffix == ".json")


def test_missing_data_without_network_is_reported_with_advice(tmp_path: Path) -> None:
    done = _process("train", "mlp", "--data", "cifar10", TENFOLD_DATA=str(tmp_path / "data"),
                    KERAS_HOME=str(tmp_path / "keras"), https_proxy="http://127.0.0.1:9",
                    HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len([line for line in done.stderr.splitlines() if not PROGRESS.match(line)]) == 1, done.stderr
    assert "Connection refused" in done.stderr
    assert f"put it at {tmp_path}/data" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_training_leaves_its_best_model(number: signal.Signals, code: int, tmp_path: Path) -> None:
    words = ["train", *SMALL, "--set", "train.epochs=1000000", "--set", "train.early_stopping=none"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tenfold.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1", "TENFOLD_THREADS": "1"})
    try:
        checkpoints, deadline = tmp_path / "runs/mlp-digits-1/checkpoints", time.monotonic() + 90
        while not list(checkpoints.glob("best-*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
        with pytest.raises(ProcessLookupError):  # no worker survives
            os.killpg(process.pid, 0)
    finally:
        process.kill()
        process.wait()
    assert _complaint(process.returncode, stderr, stdout, code).startswith("interrupted")
    run = Run.open(tmp_path / "runs/mlp-digits-1")
    assert run.status()["status"] == "stopped"
    assert run.status()["epochs"] == len(run.history()) >= 1
    assert run.model().output_shape == (None, 10)


# ----------------------------------------------------------------------------------------------------
# finding one's way


def test_runs_are_listed_with_their_status_and_results(trained: Result, elsewhere: Path) -> None:
    runs = trained.runs  # type: ignore[attr-defined]
    listed = _tenfold("runs", str(runs))
    lines = listed.stdout.splitlines()
    assert lines[0].split() == ["run", "data", "status", "epochs", "test", "accuracy", "age"]
    assert [line.split()[:3] for line in lines[1:3]] == [["tiny-1", "digits", "finished"],
                                                        ["tiny-2", "digits", "finished"]]
    rows = json.loads(_tenfold("runs", str(runs), "--json").stdout)
    assert rows[0]["accuracy"] == json.loads((runs / "tiny-1" / "metrics.json").read_text())["test"]["accuracy"]
    (damaged := elsewhere / "damaged").mkdir()
    (damaged / "recipe.toml").write_text("[")
    (damaged / "status.json").write_text("{}")
    assert "damaged" in _tenfold("runs", str(elsewhere)).stdout
    assert _tenfold("runs", "nowhere").exit_code == 2


def test_missing_paths_are_usage_errors(run: Path, elsewhere: Path) -> None:
    for words in (["evaluate", "nowhere"], ["predict", str(run), "nowhere.png"], ["resume", str(elsewhere)]):
        result = _tenfold(*words)
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1


def test_study_shows_its_file_and_accepts_overrides(elsewhere: Path) -> None:
    assert _tenfold("study", "quick", "--show").stdout.startswith("# Three small models")
    wrong = _tenfold("study", "quick", "--set", "train.epoch=1")
    assert wrong.exit_code == 2
    assert wrong.stderr.count("did you mean 'epochs'") == 1
    assert wrong.stderr.count("\n") == 1
    assert "--show prints the study as its file" in _refused(2, "study", "quick", "--show", "--set", "train.epochs=1")
    assert not list(elsewhere.iterdir())


def test_recipes_fit_a_terminal_and_keep_their_descriptions_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = _tenfold("recipes").stdout
    assert len(listed.splitlines()) == 2 + len(shipped())
    assert "…" not in listed
    monkeypatch.setattr("tenfold.terminal.console.console", lambda: Console(width=80))
    narrow = _tenfold("recipes").stdout.splitlines()
    assert max(map(len, narrow)) <= 80
    assert len(narrow) == 2 + len(shipped())


def test_metrics_have_names(trained: Result) -> None:
    assert "ROC-AUC" in trained.stdout
    assert "roc_auc" not in trained.stdout


def test_doctor_does_not_list_developer_extras() -> None:
    assert "dev" not in json.loads(_tenfold("doctor", "--json").stdout)["extras"]


def test_folds_give_one_summary(tmp_path: Path) -> None:
    done = _tenfold("train", *SMALL, "--folds", "3", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["folds"], found["images"], len(found["runs"])) == (3, 1797, 3)
    again = _tenfold("train", *SMALL, "--folds", "3", "--resume")
    assert "mlp over 3 folds, 1,797 images" in again.stdout
    assert "all images ± sd over folds" in again.stdout
    refused = _tenfold("train", *SMALL, "--folds", "3", "--seeds", "2")
    assert refused.exit_code == 2
    assert "received --folds and --seeds; expected at most one of them" in refused.output


def test_an_error_names_the_option_in_the_command_and_the_parameter_in_python(tmp_path: Path) -> None:
    said = "min_ranks: received 3; expected 1 to 2, the number of ranks"
    with pytest.raises(UsageError, match=f"^{said}"):
        tenfold.train("mlp", "digits", runs=tmp_path, ranks=2, min_ranks=3)
    words = ("train", "mlp", "--data", "digits", "--runs", tmp_path, "--ranks", 2, "--min-ranks", 3)
    assert _refused(2, *words).startswith(f"--{said.replace('_', '-')}")
    # What no option of the command gives keeps its name.
    assert "--runs" not in _refused(2, "compare", tmp_path / "runs")
