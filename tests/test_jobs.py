"""The main job: a complete run, repeatable, whose model needs nothing of Tenfold."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score
from watchers import After, Listen, at_once

import tenfold
from tenfold.backend import keras
from tenfold.errors import DivergedError, RecipeError, RunError, StorageError, UsageError
from tenfold.jobs import seeds
from tenfold.progress import Ended, Event, Step, Watcher
from tenfold.progress.journal import read
from tenfold.recipe import Recipe
from tenfold.run import Run, State
from tenfold.terminal import print_results
from tenfold.training import checkpoint

RECIPE = {
    "data": {"source": "shapes:train=400,test=120,seed=1"},
    "model": {"name": "cnn", "filters": [8, 16], "norm": "batch", "dropout": 0.1, "dense": [32]},
    "train": {"epochs": 2, "batch_size": 50, "learning_rate": 5e-3, "augment": {"mirror": {}, "translate": {}}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("runs")
    return tenfold.train(Recipe.from_dict(RECIPE, name="small"), runs=root, csv=True, h5=True)


def weights_hash(run: Run) -> str:
    return hashlib.sha256(b"".join(w.tobytes() for w in run.model().get_weights())).hexdigest()


def test_a_finished_run_has_all_its_files(run: Run) -> None:
    expected = {
        "recipe.toml", "environment.json", "status.json", "history.csv", "events.jsonl", "model.keras", "model.h5",
        "check.npz", "exports/model.onnx", "exports/model.onnx.json",
        "metrics.json",
        "scored.json", "inference.json", "calibration.json", "decisions.json", "plots/answered.png",
        "plots/refused.png", "plots/reliability.png", "report.html", "MODEL_CARD.md",
        "predictions/validation.parquet", "predictions/test.parquet", "predictions/validation.csv",
        "predictions/test.csv", "plots/loss.png",
        "plots/accuracy.png", "plots/confusion_matrix.png", "plots/confusion_matrix_normalised.png",
        "plots/roc.png", "plots/precision_recall.png",
        "plots/samples.png", "plots/first_validation.png", "plots/confident_errors.png",
    }
    files = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert {name for name in files if not name.startswith("checkpoints/")} == expected
    kinds = [p.name.split("-")[0] for p in (run.path / "checkpoints").iterdir()]
    assert sorted(kinds) == ["best", "last", "last"]
    assert run.status()["status"] == "finished"
    assert len(run.history()) == 2


def test_the_environment_records_version_precision_model_and_splits(run: Run) -> None:
    environment = run.environment()
    assert environment["versions"]["tenfold"] == tenfold.__version__
    assert environment["precision"] in ("float32", "bfloat16")
    assert environment["model"]["parameters"] == run.model().count_params()
    splits = environment["dataset"]["splits"]
    assert {name: facts["count"] for name, facts in splits.items()} == {"train": 360, "validation": 40, "test": 120}
    assert "held out of train" in splits["validation"]["source"]
    assert {name: facts["held_out"] for name, facts in splits.items()} == {
        "train": False, "validation": True, "test": False}


def test_metrics_are_those_of_the_stored_predictions(run: Run) -> None:
    table, classes = run.predictions("test"), run.classes()
    assert table.column_names == ["index", "label", *(f"p_{c}" for c in classes)]
    p = np.stack([table[f"p_{c}"].to_numpy() for c in classes], axis=1)
    labels = np.array([classes.index(label) for label in table["label"].to_pylist()])
    metrics = run.metrics()["test"]
    assert metrics["accuracy"]["value"] == pytest.approx(accuracy_score(labels, p.argmax(1)))
    assert metrics["roc_auc"]["value"] == pytest.approx(roc_auc_score(labels, p / p.sum(1, keepdims=True),
                                                                    multi_class="ovr"), abs=1e-6)
    assert np.sum(metrics["confusion_matrix"]) == 120
    assert (run.path / "predictions/test.csv").read_text().count("\n") == 121


def test_the_resolved_recipe_repeats_the_run_bit_for_bit(run: Run, tmp_path: Path) -> None:
    again = tenfold.train(run.path / "recipe.toml", runs=tmp_path)
    assert weights_hash(again) == weights_hash(run)
    assert again.metrics()["test"]["accuracy"] == run.metrics()["test"]["accuracy"]


def test_the_pages_of_a_finished_run_do_not_call_it_unfinished(run: Run) -> None:
    assert "not finished" not in (run.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "not finished" not in (run.path / "report.html").read_text(encoding="utf-8")


def test_evaluating_again_gives_the_same_metrics(run: Run) -> None:
    before = dict(run.metrics()["test"])
    after = dict(tenfold.evaluate(run)["test"])
    assert after["times"] == before["times"] + 1
    assert f"scored {after['times']} times" in (run.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    for changing in ("scored", "times"):
        del before[changing], after[changing]
    assert after == before


def test_further_training_removes_the_results_of_the_earlier_model(run: Run, tmp_path: Path) -> None:
    import shutil

    copy = Run.open(shutil.copytree(run.path, tmp_path / "copy"))
    tenfold.evaluate(copy, splits=["test"])
    tenfold.evaluate(copy, data="shapes:train=20,test=50,seed=2")
    tenfold.explain(copy, most=1, neighbours=0)
    of_the_earlier = ["predictions/shapes-test.parquet", "explanations/errors/index.html"]
    assert all(copy.has(name) for name in of_the_earlier)
    with pytest.raises(KeyboardInterrupt):
        tenfold.resume(copy, epochs=3, watcher=After(3, 1, at_once))
    assert copy.has("model.keras")
    assert not any(copy.has(name) for name in [*of_the_earlier, "decisions.json", "metrics.json", "report.html"])
    before = copy.read_json("scored.json")
    tenfold.resume(copy)
    assert not any(copy.has(name) for name in of_the_earlier)
    assert set(copy.metrics()) == {"validation", "test"}
    test = copy.metrics()["test"]
    assert (test["times"], test["earlier"]) == (before["test"] + 1, before["test"])
    assert f"{before['test']} of them before the run was resumed" in (copy.path / "MODEL_CARD.md").read_text("utf-8")


def test_a_damaged_count_of_scores_is_not_begun_anew(run: Run, tmp_path: Path) -> None:
    import shutil

    copy = Run.open(shutil.copytree(run.path, tmp_path / "copy"))
    (copy.path / "scored.json").write_text('{"test": "often"}')
    with pytest.raises(RunError, match=r"scored\.json: damaged \(test: received 'often'"):
        tenfold.evaluate(copy)
    assert copy.metrics() == run.metrics()


def test_results_of_a_split_that_the_environment_does_not_know_are_printed(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    copy = Run.open(shutil.copytree(run.path, tmp_path / "copy"))
    copy.write_json("metrics.json", {**copy.metrics(), "other": copy.metrics()["test"]})
    print_results(copy)
    assert "other: 0 images (unknown)" in capsys.readouterr().out


def test_test_time_augmentation_is_scored_in_addition_to_the_plain_model(run: Run, tmp_path: Path) -> None:
    import shutil

    copy = Run.open(shutil.copytree(run.path, tmp_path / "copy"))
    with pytest.raises(RecipeError, match="mirror-translate"):
        tenfold.evaluate(copy, tta="mirrors")
    assert set(copy.metrics()) == {"validation", "test"}
    found = tenfold.evaluate(copy, tta="mirror", splits=["test"])
    assert set(found) == {"validation", "test", "test_tta"}
    assert found["test_tta"]["views"] == "mirror"
    assert found["test"]["loss"] == run.metrics()["test"]["loss"] != found["test_tta"]["loss"]
    assert copy.has("predictions/test_tta.parquet")
    assert "test_tta" in (copy.path / "report.html").read_text(encoding="utf-8")


def test_the_speed_of_prediction_is_recorded(run: Run) -> None:
    speed = run.read_json("inference.json")
    assert speed["images_per_second"] > 0
    assert 0 < speed["batch_size"] <= min(500, speed["images"])
    assert speed["precision"] == "float32"
    assert speed["processor"]


def test_the_h5_file_has_the_same_model(run: Run) -> None:
    twin = keras.saving.load_model(run.path / "model.h5", compile=False)
    assert all(np.array_equal(a, b) for a, b in zip(twin.get_weights(), run.model().get_weights(), strict=True))


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_the_model_predicts_the_same_where_tenfold_cannot_be_imported(run: Run, tmp_path: Path, backend: str) -> None:
    dataset = tenfold.open_dataset(run.recipe().data.source)
    assert dataset.test is not None
    np.save(tmp_path / "images.npy", dataset.test.images)
    code = textwrap.dedent("""
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "tenfold":
                    raise ImportError("no Tenfold here")
        sys.meta_path.insert(0, Refuse())
        import keras, numpy as np
        assert keras.backend.backend() == sys.argv[1]
        model = keras.saving.load_model(sys.argv[2])
        np.save("probabilities.npy", model.predict(np.load("images.npy"), verbose=0))
    """)
    subprocess.run([sys.executable, "-c", code, backend, str(run.path.resolve() / "model.keras")], cwd=tmp_path,
                   check=True, env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"})
    table = run.predictions("test")
    ours = np.stack([table[f"p_{c}"].to_numpy() for c in run.classes()], axis=1)
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), ours, atol=1e-5, rtol=0)
    facts = json.loads(zipfile.ZipFile(run.path / "model.keras").read("tenfold.json"))
    assert tuple(facts["classes"]) == run.classes()


def test_seeds_count_up_and_share_the_splits(tmp_path: Path) -> None:
    recipe = Recipe.from_dict({**RECIPE, "train": {"epochs": 1, "batch_size": 50}}, name="x")
    runs = [tenfold.train(each, runs=tmp_path) for each in seeds(recipe, 2)]
    assert [run.environment()["seed"] for run in runs] == [0, 1]
    assert runs[0].environment()["dataset"] == runs[1].environment()["dataset"]
    assert weights_hash(runs[0]) != weights_hash(runs[1])
    row, = tenfold.compare(runs)
    assert row.seeds == (0, 1)


def test_a_run_without_a_validation_split_finishes(tmp_path: Path) -> None:
    recipe = Recipe.from_dict(RECIPE, name="x").replace({"data.validation": 0, "train.epochs": 1})
    run = tenfold.train(recipe, runs=tmp_path)
    assert set(run.metrics()) == {"test"}
    assert run.status()["status"] == "finished"


def test_wrong_input_leaves_nothing_behind(tmp_path: Path) -> None:
    recipe = Recipe.from_dict(RECIPE, name="x")
    for override in ({"data.validation": 0.0001}, {"data.classes": ["circle", "unicorn"]}):
        with pytest.raises(UsageError, match=r"^[^\n]*$"):
            tenfold.train(recipe.replace(override), runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_wrong_backbone_is_told_before_any_image_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown backbone .*'EfficientNetLite9'; did you mean 'EfficientNetLite0'"):
        tenfold.probe("EfficientNetLite9", str(tmp_path / "no-such-folder"), runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_diverged_run_says_so_and_keeps_finite_weights(tmp_path: Path) -> None:
    recipe = Recipe.from_dict(RECIPE, name="x").replace({"train.optimizer": "sgd", "train.learning_rate": 1e30,
                                                         "model.norm": "none"})
    with pytest.raises(DivergedError):
        tenfold.train(recipe, runs=tmp_path)
    run = Run.open(tmp_path / "x-shapes-1")
    assert run.status()["status"] == "diverged"
    assert all(np.isfinite(w).all() for w in run.model().get_weights())


def test_an_immediately_stopped_run_can_resume(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(Recipe.from_dict(RECIPE, name="x"), runs=tmp_path, watcher=After(2, 3, at_once))
    run = Run.open(tmp_path / "x-shapes-1")
    assert run.status() == {"status": "stopped", "reason": "interrupted", "epochs": 1}
    assert len(run.history()) == 1
    assert not run.has("model.keras")  # that would take its time
    assert tenfold.resume(run).model().count_params() > 0


def test_a_full_disk_fails_in_one_line_and_leaves_no_incomplete_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 6:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError, match=r"^can't write [^\n]*No space left on device; free some space[^\n]*$"):
        tenfold.train(Recipe.from_dict(RECIPE, name="x"), runs=tmp_path)
    assert not list(tmp_path.rglob(".*"))


def test_a_data_set_that_changed_is_not_scored(run: Run, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    recipe = (copy / "recipe.toml").read_text().replace("seed=1", "seed=2")
    (copy / "recipe.toml").write_text(recipe)
    with pytest.raises(RunError, match="has changed since training"):
        tenfold.evaluate(Run.open(copy))


# ----------------------------------------------------------------------------------------------------
# real data


@pytest.mark.real
def test_a_recipe_learns_real_cifar10_and_announces_the_partial_test_split(real_data: Path, tmp_path: Path) -> None:
    recipe = Recipe.load("cnn2", {"data.train_size": 4000, "train.epochs": 3, "data.validation": 1000})
    run = tenfold.train(recipe, runs=tmp_path, watcher=(listen := Listen()))
    test = run.environment()["dataset"]["splits"]["test"]
    assert run.metrics()["test"]["accuracy"]["value"] > 0.3
    assert ("PARTIAL" in " ".join(listen.said)) == test["partial"] == (test["count"] < 10_000)
    assert ("partial" in (run.path / "report.html").read_text().lower()) or not test["partial"]


@pytest.mark.real
def test_three_classes_of_real_cifar10(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe.load("three-class", {"data.train_size": 1500, "train.epochs": 2, "data.validation": 300})
    run = tenfold.train(recipe, runs=tmp_path)
    print_results(run)
    partial = run.environment()["dataset"]["splits"]["test"]["partial"]
    assert ("PARTIAL" in capsys.readouterr().out) == partial
    assert run.classes() == ("cat", "dog", "ship")
    assert run.model().output_shape == (None, 3)
    assert run.metrics()["test"]["accuracy"]["value"] > 0.34


@pytest.mark.real
def test_mnist_cnn_reaches_its_documented_accuracy(real_data: Path, tmp_path: Path) -> None:
    run = tenfold.train("mnist-cnn", "mnist", runs=tmp_path)
    assert run.metrics()["test"]["accuracy"]["value"] >= 0.987


def test_an_interrupt_after_the_end_does_not_change_a_finished_run(tmp_path: Path) -> None:
    class Late(Watcher):
        def on(self, event: Event) -> None:
            if isinstance(event, Ended):
                raise KeyboardInterrupt

    recipe = Recipe.from_dict({**RECIPE, "train": {"epochs": 1, "batch_size": 50}}, name="x")
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(recipe, runs=tmp_path, watcher=Late())
    run, = Run.list(tmp_path)
    assert run.status()["status"] == "finished"


def test_an_interrupt_stops_a_run_even_if_its_history_is_damaged(tmp_path: Path) -> None:
    def damage() -> None:
        (tmp_path / "x-shapes-1" / "history.csv").write_text("epoch")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tenfold.train(Recipe.from_dict(RECIPE, name="x"), runs=tmp_path, watcher=After(2, 3, damage))
    assert Run.open(tmp_path / "x-shapes-1").status().state is State.STOPPED


def test_a_watcher_may_ask_a_training_to_stop(tmp_path: Path) -> None:
    class Stop(Watcher):
        steps = 0

        def on(self, event: Event) -> None:
            self.steps += isinstance(event, Step)

        def stop(self) -> bool:
            return self.steps >= 3

    with pytest.raises(KeyboardInterrupt):
        tenfold.train(Recipe.from_dict(RECIPE, name="x"), runs=tmp_path, watcher=Stop())
    run = Run.open(tmp_path / "x-shapes-1")
    assert run.status().state is State.STOPPED
    assert checkpoint.load(run, "last").position.step == 3
    events = [event for _, event in read(run.path / "events.jsonl")]
    assert events[-1] == Ended(str(run.path), "stopped")
