"""Fine-tuning and probing on small real data: phases, caches, interrupts, and that knowledge is carried over."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import calibrated
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from watchers import After, Listen, at_once, sizes_inside

import tenfold
from tenfold import modelfile
from tenfold.backend import keras
from tenfold.errors import RecipeError, RunError, StorageError, UsageError
from tenfold.jobs import probe, resume
from tenfold.jobs.known_answers import of_training
from tenfold.progress import SILENT, Advance
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.runtimes import open_predictor
from tenfold.training import features, schedule, transfer
from tenfold.training.loop import selection
from tenfold.training.probe import fit as fit_probe
from tenfold.training.probe import without_effect

DATA = {"source": "shapes:train=300,test=100,seed=1"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose network has learned shapes of another seed."""
    recipe = Recipe.from_dict({
        "data": {"source": "shapes:train=1500,test=100,seed=7"},
        "model": {"name": "cnn", "filters": [16, 32, 32], "norm": "batch", "pooling": "global-average", "dense": []},
        "train": {"epochs": 4, "batch_size": 50, "learning_rate": 3e-3},
    }, name="source")
    return tenfold.train(recipe, runs=tmp_path_factory.mktemp("source"))


def recipe(source: Run, model: dict[str, Any] | None = None, train: dict[str, Any] | None = None) -> Recipe:
    return Recipe.from_dict({
        "data": DATA,
        "model": {"name": "pretrained", "backbone": f"run:{source.path}", "dropout": 0.1, **(model or {})},
        "train": {"epochs": 2, "batch_size": 50, "learning_rate": 1e-3, "stage_decay": 0.5,
                  "head": {"epochs": 3, "learning_rate": 1e-2}, "augment": {"mirror": {}}, **(train or {})},
    }, name="tuned")


def test_a_run_can_have_two_phases(source: Run, tmp_path: Path) -> None:
    listen = Listen()
    run = tenfold.train(recipe(source, train={"checkpoint": "none"}), runs=tmp_path, watcher=listen)
    assert [line for line in listen.said if line.startswith("phase")] == [
        "phase 1 of 2: the logits layer on cached features, at most 3 epochs",
        "phase 2 of 2: the logits layer and all 4 stages of the backbone, at most 2 epochs"]
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "each stage learns at 0.5 × the rate of the next one" in report
    history = run.history()
    assert [record["phase"] for record in history] == [1, 1, 1, 2, 2]
    assert [record["learning_rate"] for record in history] == [0.01] * 3 + [0.001] * 2
    assert run.environment()["pretrained"]["backbone"] == f"run:{source.path}"
    assert set(run.metrics()) == {"validation", "test"}
    before, after = source.model(), run.model()
    kernels = [(layer.get_weights(), after.get_layer(f"backbone_{layer.name}").get_weights())
               for layer in before.layers if layer.name.startswith("conv")]
    moved = [float(np.abs(a[0] - b[0]).max()) for a, b in kernels]
    assert 0 < moved[0] < moved[-1]
    norms = [layer for layer in before.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    for layer in norms:
        assert all(np.array_equal(a, b) for a, b in zip(
            layer.get_weights(), after.get_layer(f"backbone_{layer.name}").get_weights(), strict=True))


def test_a_head_trained_on_standardised_features_works_on_raw_features(source: Run) -> None:
    rng = np.random.default_rng(0)
    raw = (rng.normal(size=(500, 4)) * [1e-3, 1, 1e3, 0] + [0, 5, -1e4, 2]).astype(np.float32)
    split = features.Features(raw, np.zeros(500, np.int64))
    inputs = keras.Input((4,))
    network = keras.Model(inputs, keras.layers.Dense(3, name="logits")(inputs))
    layer, fresh = network.get_layer("logits"), network.get_weights()
    tuned, cached = recipe(source), features.FeatureSet(split, None)
    made = transfer.head(tuned, cached, layer, fresh=True)
    said = np.asarray(made(raw).detach())
    expected = (raw[:, :3] - raw[:, :3].mean(axis=0)) / raw[:, :3].std(axis=0) @ fresh[0][:3] + fresh[1]
    assert said == pytest.approx(expected, abs=1e-3)
    transfer.put_head(network, made.get_weights())
    assert np.asarray(network(raw).detach()) == pytest.approx(said, abs=1e-2)
    again = transfer.head(tuned, cached, layer, fresh=False)
    assert np.asarray(again(raw).detach()) == pytest.approx(said, abs=1e-2)


@pytest.mark.parametrize("until", [(2, 3), (4, 2)], ids=["in the head", "in the whole network"])
def test_an_interrupted_fine_tuning_resumes_to_the_same_bits(
    source: Run, tmp_path: Path, until: tuple[int, int]
) -> None:
    whole = tenfold.train(recipe(source), runs=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(recipe(source), runs=tmp_path, name="broken", watcher=After(*until, at_once))
    run = resume(Run.open(tmp_path / "broken-1"))
    assert all(np.array_equal(a, b)
               for a, b in zip(run.model().get_weights(), whole.model().get_weights(), strict=True))
    assert [r["loss"] for r in run.history()] == [r["loss"] for r in whole.history()]


def test_resuming_detects_a_changed_backbone(source: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(source.path, tmp_path / "copy")))
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(recipe(copy), runs=tmp_path, watcher=After(2, 3, at_once))
    other = copy.model()
    other.get_layer("logits").set_weights([w + 1 for w in other.get_layer("logits").get_weights()])
    other.save(copy.path / "model.keras")
    with pytest.raises(RunError, match="have changed since"):
        resume(Run.open(tmp_path / "tuned-shapes-1"))


def test_features_are_computed_once_and_kept(source: Run, tmp_path: Path, cache: Path) -> None:
    only_head = {"trainable": "none"}
    first, second, third = Listen(), Listen(), Listen()
    tenfold.train(recipe(source, only_head), runs=tmp_path, watcher=first)
    tenfold.train(recipe(source, only_head, {"learning_rate": 2e-3}), runs=tmp_path, watcher=second)
    assert Advance("features", 270, 270, "images") in first.events
    assert not [event for event in second.events if isinstance(event, Advance) and event.phase == "features"]
    assert {path.suffix for path in cache.iterdir()} <= {".npy", ".json", ".lock"}
    tenfold.train(recipe(source, only_head | {"image_size": 40}), runs=tmp_path, watcher=third)
    assert Advance("features", 270, 270, "images") in third.events


def test_augmented_copies_are_cached(source: Run, tmp_path: Path, cache: Path) -> None:
    tuned = recipe(source, {"trainable": "none"}, {"augmented_copies": 2, "head": "none"})
    run = tenfold.train(tuned, runs=tmp_path)
    files = [np.load(path) for path in cache.glob("*.npy")]
    copies = [f for f in files if len(f) == 270]
    assert len(copies) == 3
    assert not np.array_equal(copies[0], copies[1])
    assert run.history()[0]["phase"] == 1
    with pytest.raises(UsageError, match="mixes labels"):
        tenfold.train(tuned.replace({"train.augment.mixup": True}), runs=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_interrupted_computation_of_features_continues(
    source: Run, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = recipe(source, {"trainable": "none"})
    whole = tenfold.train(tuned, runs=tmp_path)
    kept = {path.name: np.load(path) for path in cache.glob("*.npy")}
    shutil.rmtree(cache)
    calls, batch = [], features.batch_features

    def broken(*arguments: Any) -> np.ndarray:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return batch(*arguments)

    monkeypatch.setattr(features, "BLOCK", 1)
    monkeypatch.setattr(features, "batch_features", broken)
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(tuned, runs=tmp_path, name="broken")
    listen = Listen()
    run = resume(Run.open(tmp_path / "broken-1"), watcher=listen)
    assert [line for line in listen.said if "continuing after 200 of 270" in line]
    assert all(np.array_equal(np.load(cache / name), value) for name, value in kept.items())
    assert run.metrics()["test"]["accuracy"] == whole.metrics()["test"]["accuracy"]


def test_too_little_disk_space_is_reported_before_anything_is_written(
    source: Run, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage
    small = type(usage(tmp_path))(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: small if Path(path) == cache else usage(path))
    with pytest.raises(StorageError, match=r"^[^\n]*1,000 are free[^\n]*$"):
        tenfold.train(recipe(source), runs=tmp_path)
    assert not list(cache.glob("*.part"))


def test_a_probe_is_a_logistic_regression_with_a_complete_run(
    source: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = probe(f"run:{source.path}", DATA["source"], {"train.precision": "float32"}, runs=tmp_path)
    record = run.history()[0]
    data = tenfold.open_dataset(DATA["source"])
    prepared = tenfold.data.splits.prepare(data, run.recipe().data)
    model = run.model()
    network = keras.Model(model.input, model.get_layer("logits").input)
    x, held = (network.predict(np.asarray(split.images, np.float32), verbose=0)
               for split in (prepared.train, prepared.validation))
    mean, deviation = x.mean(0), x.std(0)
    twin = LogisticRegression(C=record["C"], max_iter=2000).fit(
        (x - mean) / np.where(deviation > 0, deviation, 1), prepared.train.labels)
    p = twin.predict_proba((held - mean) / np.where(deviation > 0, deviation, 1))
    ours = model.predict(np.asarray(prepared.validation.images, np.float32), verbose=0)
    assert log_loss(prepared.validation.labels, ours) == pytest.approx(
        log_loss(prepared.validation.labels, p), abs=0.02)
    assert run.metrics()["validation"]["accuracy"]["value"] == pytest.approx(record["val_accuracy"], abs=0.04)
    known = of_training(run, prepared, SILENT)["train"]
    np.testing.assert_allclose(known.features, x, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(known.logits, open_predictor(run).logits(prepared.train.images), rtol=1e-3, atol=1e-3)
    with monkeypatch.context() as patch:  # another backbone by now
        patch.setattr("tenfold.models.origin", lambda section: {"pretrained": {"backbone": "another"}})
        assert of_training(run, prepared, SILENT) == {}
    random = probe(f"run:{source.path}", DATA["source"], {"model.weights": "none"}, runs=tmp_path)
    assert run.metrics()["test"]["accuracy"]["value"] > random.metrics()["test"]["accuracy"]["value"] + 0.1


def test_a_probe_applies_class_weights_by_name(source: Run, tmp_path: Path) -> None:
    classes = tenfold.open_dataset(DATA["source"]).classes
    heavy = {name: 20.0 if name == classes[3] else 1.0 for name in classes}
    means = []
    for weights in ("none", heavy):
        run = probe(f"run:{source.path}", DATA["source"], {"train.class_weights": weights}, runs=tmp_path)
        table = run.predictions("test")
        means.append(table[f"p_{classes[3]}"].to_numpy().mean())
    assert means[1] > means[0]


def test_the_logits_of_two_classes_are_opposite(source: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in any other network: else one class has no heat map and no score of its own."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(60, 4)).astype(np.float32), np.arange(60) % 2
    both = features.Features(x + labels[:, None].astype(np.float32), labels)
    monkeypatch.setattr("tenfold.training.features.dataset_features", lambda *_: features.FeatureSet(both, both))
    monkeypatch.setattr("tenfold.training.probe.feature_network", lambda model: model)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(inputs))
    dataset: Any = type("Dataset", (), {"classes": ("a", "b")})
    record = fit_probe(recipe(source), dataset, model, None, SILENT)
    logits = np.asarray(model(both.images).detach())
    np.testing.assert_allclose(logits.sum(axis=1), 0, atol=1e-4)
    assert (logits.argmax(axis=1) == labels).mean() == pytest.approx(record["accuracy"])
    assert np.ptp(logits.max(axis=1)[logits.argmax(axis=1) == 0]) > 0.1


def test_a_probe_accepts_a_class_that_only_validation_has(source: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(60, 4)).astype(np.float32), np.arange(60) % 2
    cached = features.FeatureSet(features.Features(x + 2 * labels[:, None].astype(np.float32), labels),
                                 features.Features(x[:30], np.arange(30) % 3))
    monkeypatch.setattr("tenfold.training.features.dataset_features", lambda *_: cached)
    monkeypatch.setattr("tenfold.training.probe.feature_network", lambda model: model)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, name="logits")(inputs))
    dataset: Any = type("Dataset", (), {"classes": ("a", "b", "c")})
    record = fit_probe(recipe(source), dataset, model, np.array([1.0, 3.0, 2.0]), SILENT)
    assert np.isfinite(record["val_loss"])
    assert record["val_accuracy"] <= 2 / 3
    assert np.asarray(model(x).detach()).argmax(axis=1).max() < 2


@pytest.mark.parametrize(("model", "train"), [
    ({"trainable": "none"}, {"head": "none"}),
    ({}, {"learning_rate": 1.0, "epochs": 1, "checkpoint": {"monitor": "val_loss"}}),
], ids=["frozen", "head first"])
def test_without_weights_the_saved_model_is_the_network_that_was_trained(
    model: dict[str, Any], train: dict[str, Any], source: Run, tmp_path: Path
) -> None:
    """Its random backbone is not in the checkpoints of a head alone, and what was trained after them is another."""
    tuned = recipe(source, {"weights": "none", **model}, {"precision": "float32", **train})
    run = tenfold.train(tuned, runs=tmp_path)
    epoch = modelfile.facts(run.path / "model.keras")["epoch"]
    record = run.history()[epoch - 1]
    assert record["phase"] == 1  # the whole network was never better
    held = tenfold.data.splits.prepare(tenfold.open_dataset(DATA["source"]), tuned.data).validation
    said = run.model().predict(np.asarray(held.images, np.float32), verbose=0)
    assert log_loss(held.labels, said) == pytest.approx(record["val_loss"], abs=1e-4)


def test_all_phases_choose_the_best_epoch_by_the_same_rule(source: Run) -> None:
    early = {"monitor": "val_loss", "patience": 1, "min_delta": 0.01, "start_from_epoch": 1}
    tuned = recipe(source, train={"early_stopping": early, "checkpoint": {"monitor": "val_accuracy"}})
    first, second = (phase.section for phase in transfer.phases(tuned))
    assert selection(first) == selection(second) == ("val_loss", 0.01, 1)
    assert selection(transfer.phases(recipe(source))[0].section) == ("val_accuracy", 0.0, 0)
    worsening = [{"val_loss": float(epoch)} for epoch in range(first.epochs)]
    assert schedule.stops_early(worsening, second.early_stopping)
    assert not schedule.stops_early(worsening, first.early_stopping)


def test_a_probe_evaluates_explains_and_predicts_without_its_backbone_file(source: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(source.path, tmp_path / "copy")))
    run = probe(f"run:{copy.path}", DATA["source"], {"evaluate.tta": "mirror"}, runs=tmp_path)
    shutil.rmtree(copy.path)
    accuracy = {name: scores["accuracy"]["value"] for name, scores in run.metrics().items()}
    assert set(accuracy) == {"validation", "test", "validation_tta", "test_tta"}
    again = tenfold.jobs.evaluate(run, calibrate=True)
    assert {name: scores["accuracy"]["value"] for name, scores in again.items()} == accuracy
    assert run.read_json("calibration.json")["temperature"] > 0
    explained = tenfold.explain(run, most=1, neighbours=1)
    assert (explained.path / "index.html").is_file()
    test = tenfold.open_dataset(DATA["source"]).test
    Image.fromarray(test.images[0]).save(tmp_path / "one.png")
    (answer,) = tenfold.predict(run, [tmp_path / "one.png"])
    table = run.predictions("test")
    stored = np.stack([table[f"p_{c}"].to_numpy() for c in run.classes()], axis=1)
    assert list(answer.probabilities.values()) == pytest.approx(calibrated(run, stored)[0], abs=1e-4)
    board = tenfold.compare([run])
    assert board.rows[0].model == "probe"


def test_settings_without_effect_on_a_probe_are_named() -> None:
    sections = {"model": {"name": "pretrained", "backbone": "MobileNet", "trainable": "none"},
                "train": {"fit": "logistic-regression", "epochs": 1}}
    assert without_effect(Recipe.from_dict(sections)) == []
    changed = Recipe.from_dict(sections).replace({
        "train.epochs": 5, "train.optimizer": "sgd", "train.label_smoothing": 0.1, "train.augment": {"mirror": {}}})
    assert without_effect(changed) == ["train.epochs", "train.optimizer", "train.label_smoothing",
                                       "train.augment without train.augmented_copies"]
    assert without_effect(changed.replace({"train.augmented_copies": 2}))[-1] == "train.label_smoothing"


def test_a_probe_needs_a_frozen_backbone_and_validation_images(source: Run, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="frozen features"):
        Recipe.from_dict({"train": {"fit": "logistic-regression"}})
    with pytest.raises(UsageError, match="validation"):
        probe(f"run:{source.path}", DATA["source"], {"data.validation": 0}, runs=tmp_path)
    assert not list(tmp_path.glob("probe*"))


def test_the_recipe_photos_makes_a_run_that_explains_and_predicts(tmp_path: Path) -> None:
    """With the real weights; both phases, Grad-CAM and the saved model need nothing but the run."""
    tuned = Recipe.load("photos", {"data.source": "shapes:train=60,test=12", "model.image_size": 64, "train.epochs": 1,
                                    "train.head.epochs": 2})
    run = tenfold.train(tuned, runs=tmp_path)
    assert {record["phase"] for record in run.history()} == {1, 2}
    assert run.environment()["pretrained"]["digest"].startswith("57934424")
    dataset = tenfold.open_dataset(tuned.data.source)
    table = run.predictions("test")
    stored = np.stack([table[f"p_{c}"].to_numpy() for c in run.classes()], axis=1)
    again = run.model().predict(dataset.test.images.astype("float32"), verbose=0)
    np.testing.assert_allclose(again, stored, atol=1e-4)  # Keras does not fold the batch normalisation
    Image.fromarray(dataset.test.images[0]).save(tmp_path / "one.png")
    explained = tenfold.explain(run, [tmp_path / "one.png"])
    assert (explained.path / "index.html").is_file()
    (answer,) = tenfold.predict(run, [tmp_path / "one.png"])
    assert list(answer.probabilities.values()) == pytest.approx(calibrated(run, stored)[0], abs=1e-4)


def test_fine_tuning_may_begin_with_smaller_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sizes_inside(monkeypatch)
    tuned = Recipe.load("cifar10-finetuned", {
        "data.source": "shapes:train=60,test=12", "model.image_size": 64, "model.weights": "none", "train.epochs": 2,
        "train.batch_size": 30, "train.image_scales": [0.5, 1], "train.head.epochs": 1})
    run = tenfold.train(tuned, runs=tmp_path)
    assert [size for training, size in seen if training] == [32, 32, 64, 64]
    table = run.predictions("test")
    stored = np.stack([table[f"p_{c}"].to_numpy() for c in run.classes()], axis=1)
    images = tenfold.open_dataset(tuned.data.source).test.images
    np.testing.assert_allclose(run.model().predict(images.astype("float32"), verbose=0), stored, atol=1e-4)


def test_smaller_images_are_refused_if_the_backbone_brings_all_to_one_size(source: Run, tmp_path: Path) -> None:
    scaled = recipe(source, {"image_size": 40}, {"image_scales": [0.5, 1]})
    with pytest.raises(UsageError, match="to its own size"):
        tenfold.train(scaled, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_resnet50_trains_saves_and_predicts_identically(tmp_path: Path) -> None:
    tuned = Recipe.load("resnet50-imagenet", {
        "data.source": "shapes:train=32,test=10", "data.validation": 8, "model.image_size": 32, "model.weights": "none",
        "train.epochs": 1, "train.head.epochs": 1, "train.batch_size": 8, "train.head.batch_size": 8})
    run = tenfold.train(tuned, runs=tmp_path)
    assert "from scratch" in run.environment()["pretrained"]["weights"]
    assert "random initial weights (from scratch)" in (run.path / "report.html").read_text(encoding="utf-8")
    dataset = tenfold.open_dataset(tuned.data.source)
    table = run.predictions("test")
    stored = np.stack([table[f"p_{c}"].to_numpy() for c in run.classes()], axis=1)
    again = run.model().predict(dataset.test.images.astype("float32"), verbose=0)
    np.testing.assert_allclose(again, stored, atol=1e-4)  # Keras does not fold the batch normalisation
