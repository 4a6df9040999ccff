"""Studies: every model with every seed, what can't run named, and an interrupted one taken up again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_images import drawn, plant
from watchers import Listen

from tenfold.errors import RecipeError, UnknownNameError, UsageError
from tenfold.jobs import executors
from tenfold.progress import Event, Step, Training, Watcher
from tenfold.run import Run
from tenfold.study import Study, conduct, shipped_studies

COMPARISON = Path(__file__).parent.parent / "docs" / "comparison.md"
TEXT = """# Two perceptrons.
by = "accuracy"
seeds = 2
[data]
source = "digits"
[[models]]
name = "narrow"
recipe = "mlp"
set = ["model.hidden=8", "train.epochs=1"]
[[models]]
name = "wide"
[models.model]
name = "mlp"
hidden = [16]
[models.train]
epochs = 1
[[models]]
name = "not-there"
[models.model]
name = "pretrained"
backbone = "file:not-there.keras"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pair.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


class Interrupt(Watcher):
    """Stops at the first epoch of the third training."""

    def __init__(self) -> None:
        self.started = 0

    def on(self, event: Event) -> None:
        self.started += isinstance(event, Training)
        if isinstance(event, Step) and self.started == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", shipped_studies())
def test_a_shipped_study_has_recipes_and_a_description(name: str) -> None:
    study = Study.load(name)
    assert study.title.endswith(".")
    assert f"`{name}`" in COMPARISON.read_text(encoding="utf-8")
    for entry in study.models:
        assert entry.resolve(study.data).name == entry.title


def test_the_six_models_study_has_the_expected_recipes() -> None:
    study = Study.load("six-models")
    assert [entry.recipe for entry in study.models] == [
        "cnn2", "cnn2-dropout", "cnn3-dropout", "cnn3-plateau", "resnet50-imagenet", "resnet101-imagenet"]
    assert study.by == "roc_auc"


def test_an_entry_is_a_recipe_with_overrides(file: Path) -> None:
    narrow, wide, _ = Study.load(file).models
    recipe = narrow.resolve({"source": "digits"})
    assert (recipe.name, recipe.model.options["hidden"], recipe.train.epochs) == ("narrow", [8], 1)
    assert recipe.data.source == "digits"
    assert wide.resolve({}).model.options["hidden"] == [16]


def test_an_interrupted_study_continues(file: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        conduct(file, runs=tmp_path / "runs", resume=True, watcher=Interrupt())  # none to go on with: it begins
    folder = tmp_path / "runs" / "pair-digits-1"
    before = {run.name: run.status() for run in Run.list(folder)}
    assert [status["status"] for status in before.values()] == ["finished", "stopped", "finished"]
    assert not (folder / "comparison.html").exists()
    count = Listen()
    outcome = conduct(file, runs=tmp_path / "runs", resume=True, watcher=count)
    assert count.trained == ["narrow-2", "wide-2"]
    assert outcome.path == folder
    assert {row.model: row.seeds for row in outcome.board} == {"narrow": (0, 1), "wide": (0, 1)}
    assert outcome.board.by == "accuracy"
    assert len(outcome.skipped) == 1
    assert "not-there (seeds 0, 1) is skipped: " in outcome.skipped[0]
    assert outcome.skipped[0] in outcome.board.left_out
    assert json.loads((folder / "comparison.json").read_text())["rows"][0]["tied"] is True
    assert (folder / "comparison.csv").read_text().count("\n") == 3
    assert "narrow" in outcome.page.read_text(encoding="utf-8")
    conduct(file, seeds=1, runs=tmp_path / "runs", resume=True, watcher=(again := Listen()))
    assert again.trained == []


def test_the_order_of_models_is_that_of_the_study_whichever_ends_first(
        file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = executors.run_all
    monkeypatch.setattr(executors, "run_all", lambda *arguments: reversed(list(forward(*arguments))))
    same = '[[models]]\nrecipe = "mlp"\nset = ["model.hidden=8", "train.epochs=1"]\n'
    batches = "".join(f'{same}name = "in-{size}"\nevaluate.batch_size = {size}\n' for size in (500, 250))
    file.write_text(f'by = "accuracy"\ndata.source = "digits"\n{batches}', encoding="utf-8")
    outcome = conduct(file, runs=tmp_path / "runs")
    first, second = outcome.board
    assert first.metrics["accuracy"]["value"] == second.metrics["accuracy"]["value"]
    assert [first.model, second.model] == ["in-500", "in-250"]


def test_an_invalid_study_is_refused_before_anything_is_written(file: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(UnknownNameError, match="did you mean 'six-models'"):
        conduct("six-model", runs=runs)
    file.write_text("[[models]]\nrecipe = 'mlp'\n" * 2, encoding="utf-8")
    with pytest.raises(UsageError, match="mlp: several models have this name"):
        conduct(file, "digits", runs=runs)
    for text, reason in (("models = 3", "models: received 3"),
                         ("[[models]]\nrecipee = 'x'", "unknown key 'recipee'; did you mean 'recipe'"),
                         ("models =", "invalid TOML"), ("models = []", "models: received")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(RecipeError, match=reason):
            conduct(file, runs=runs)
    file.write_text("[[models]]\nrecipe = 'mlp'\n[[models]]\nrecipe = 'gone'", encoding="utf-8")
    with pytest.raises(UsageError, match="some of its models are invalid; gone: unknown recipe"):
        conduct(file, runs=runs)
    file.write_text("by = 'acuracy'\n[[models]]\nrecipe = 'mlp'", encoding="utf-8")
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        conduct(file, runs=runs)
    assert not runs.exists()


def test_a_recipe_may_be_a_file_and_its_runs_are_named_after_it(file: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text("[data]\nsource = 'digits'\n[model]\nname = 'mlp'\nhidden = [4]\n"
                                        "[train]\nepochs = 1\nbatch_size = 20\n", encoding="utf-8")
    file.write_text(f"[[models]]\nrecipe = '{tmp_path / 'tiny.toml'}'", encoding="utf-8")
    outcome = conduct(file, "shapes:train=60,test=30", runs=tmp_path / "runs")
    assert [row.runs for row in outcome.board] == [("tiny-1",)]
    assert outcome.skipped == ()
    words = "its runs use the data set shapes:train=60,test=30; received shapes:train=60,test=40"
    with pytest.raises(UsageError, match=words):
        conduct(file, "shapes:train=60,test=40", runs=tmp_path / "runs", resume=True)
    file.write_text(f"[[models]]\nrecipe = '{tmp_path / 'tiny.toml'}'\nset = ['model.hidden=5']", encoding="utf-8")
    changed = conduct(file, "shapes:train=60,test=30", runs=tmp_path / "runs", resume=True)
    assert [row.runs for row in changed.board] == [("tiny-2",)]
    assert "tiny-1: in pair-shapes-1, but not part of the study as it is now" in changed.board.left_out
    file.write_text("[[models]]\nrecipe = 'cnn2'\n[[models]]\nname = 'cnn2'\nrecipe = 'mlp'", encoding="utf-8")
    with pytest.raises(UsageError, match="cnn2: several models have this name"):
        conduct(file, "digits", runs=tmp_path / "none")
    file.write_text("[[models]]\nrecipe = 'mlp'\nname = 'two words'", encoding="utf-8")
    with pytest.raises(UsageError, match="two words"):
        conduct(file, runs=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_recipes_on_different_data_need_the_data_option(file: Path, tmp_path: Path) -> None:
    file.write_text("[[models]]\nrecipe = 'cnn2'\n[[models]]\nrecipe = 'mnist-cnn'", encoding="utf-8")
    with pytest.raises(UsageError, match=r"different data sets \(cifar10, mnist\); expected one; give --data"):
        conduct(file, runs=tmp_path / "runs")


def test_models_that_read_own_images_at_different_sizes_are_compared(tmp_path: Path) -> None:
    photos = plant(tmp_path / "photos", {f"{'cat' if i % 2 else 'dog'}/{i}.png": drawn(i, 100, 120) for i in range(40)})
    models = "".join(f'[[models]]\nname = "{name}"\nrecipe = "mlp"\nset = ["train.epochs=1"{more}]\n'
                     for name, more in (("plain", ""), ("shrunk", ', "model.image_size=16"'),
                                        ("large", ', "model.image_size=96"')))
    (tmp_path / "sizes.toml").write_text(f"# Sizes.\n{models}", encoding="utf-8")
    outcome = conduct(tmp_path / "sizes.toml", photos, runs=tmp_path / "runs")
    trained = {run.name: run for run in Run.list(outcome.path)}
    assert {name: run.environment()["dataset"]["shape"][0] for name, run in trained.items()} == {
        "plain-1": 64, "shrunk-1": 16, "large-1": 96}
    assert len({run.environment()["dataset"]["splits"]["test"]["fingerprint"] for run in trained.values()}) == 3
    assert len(outcome.board.rows) == 3
    assert len(outcome.board.pairs) == 3
    conduct(tmp_path / "sizes.toml", photos, runs=tmp_path / "runs", resume=True)
    assert {run.path for run in Run.list(outcome.path)} == {run.path for run in trained.values()}


def test_a_recipe_without_available_weights_is_skipped(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    present = TEXT.partition('name = "not-there"')[0].replace("seeds = 2", "seeds = 1")
    file.write_text(present + 'recipe = "resnet50-imagenet"', "utf-8")
    outcome = conduct(file, runs=tmp_path / "runs")
    assert sorted(run.name for run in Run.list(outcome.path)) == ["narrow-1", "wide-1"]
    assert len(outcome.skipped) == 1
    said = outcome.skipped[0]
    assert said.startswith("resnet50-imagenet (seed 0) is skipped: https://")
    assert "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5" in said
    assert "no network" in said
    assert said in outcome.page.read_text(encoding="utf-8")
