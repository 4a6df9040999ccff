"""What every registered runtime must keep to: it opens a run from its directory alone and answers as the others do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tenfold import modelfile
from tenfold.data import open_dataset
from tenfold.data.splits import prepare
from tenfold.errors import ModelFileError, RunError, UnknownNameError, UsageError
from tenfold.evaluation.explain import features
from tenfold.export import check_images, export_source, target
from tenfold.export.source import Source
from tenfold.recipe import Recipe
from tenfold.registry import FORMATS, RUNTIMES
from tenfold.run import Run, State
from tenfold.runtimes import Exported, Predictor, open_export, open_predictor
from tenfold.runtimes.exported import PART
from tenfold.training import fit

MODELS: dict[str, dict[str, Any]] = {
    "cnn": {"name": "cnn", "filters": [4, 8], "dense": [16], "norm": "batch"},
    "speednet": {"name": "speednet", "filters": [4, 8, 8]},
    "mlp": {"name": "mlp", "hidden": [16]},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run of each model, trained for moments on drawn shapes; "pretrained" goes on from the first."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        runs = {name: _train(name, model, root) for name, model in MODELS.items()}
        backbone = {"name": "pretrained", "backbone": f"run:{runs['cnn'].path}"}
        return {**runs, "pretrained": _train("pretrained", backbone, root)}


def _train(name: str, model: dict[str, Any], root: Path) -> Run:
    recipe = Recipe.from_dict({"model": model, "train": {"epochs": 1, "batch_size": 20, "precision": "float32"}})
    run = Run.create(root, name)
    run.write_recipe(recipe)
    run.write_status(State.RUNNING)
    dataset = prepare(open_dataset("shapes:train=60,test=20"), recipe.data)
    list(fit(recipe, dataset, run))
    for name in ("onnx", "openvino"):
        known = FORMATS.get(name)
        export_source(Source.of(run), known, target(run, known, None), check_images.choose(dataset))
    return run


@pytest.fixture(params=[*MODELS, "pretrained"])
def run(request: pytest.FixtureRequest, trained: dict[str, Run], tmp_path: Path) -> Run:
    """A copy of a run that consists of its model file and its exports alone."""
    shutil.copy(trained[request.param].path / "model.keras", tmp_path)
    shutil.copytree(trained[request.param].path / "exports", tmp_path / "exports")
    if request.param != "pretrained":  # without a recipe every network is drawn as those on a backbone are
        shutil.copy(trained[request.param].path / "recipe.toml", tmp_path)
    return Run(tmp_path)


@pytest.fixture(params=RUNTIMES.names())
def predictor(request: pytest.FixtureRequest, run: Run) -> Predictor:
    return open_predictor(run, request.param)


@pytest.fixture
def images(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (60, 32, 32, 3), np.uint8)


def test_every_runtime_predicts_like_keras(predictor: Predictor, run: Run, images: np.ndarray) -> None:
    facts, model = modelfile.facts(run.path / "model.keras"), run.model()
    assert predictor.classes == tuple(facts["classes"])
    assert predictor.shape == tuple(facts["shape"]) == (32, 32, 3)
    expected = model.predict(images.astype(np.float32), verbose=0)
    p = predictor.predict(images)
    assert (p.shape, p.dtype) == ((60, len(facts["classes"])), np.float32)
    assert p.std(axis=0).max() > 1e-4
    np.testing.assert_allclose(p, expected, atol=1e-5)
    np.testing.assert_allclose(predictor.features(images), features(model, images), rtol=1e-4, atol=1e-5)


def test_probabilities_are_the_softmax_of_logits(predictor: Predictor, images: np.ndarray) -> None:
    logits = predictor.logits(images)
    assert logits.dtype == np.float32
    assert np.abs(logits.sum(axis=1)).max() > 1e-3  # not just logarithms of probabilities
    np.testing.assert_allclose(softmax(logits, axis=1), predictor.predict(images), atol=1e-6)


def test_logits_and_features_come_together_as_they_come_alone(predictor: Predictor, images: np.ndarray) -> None:
    logits, features = predictor.logits_and_features(images, batch_size=25)
    assert (logits.dtype, features.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(logits, predictor.logits(images), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(features, predictor.features(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["predict", "logits", "features"])
def test_predictions_are_the_same_for_any_batch_size(kind: str, predictor: Predictor, images: np.ndarray) -> None:
    answer, images = getattr(predictor, kind), images[:15]
    whole = answer(images, batch_size=500)
    assert len(whole) == len(images)
    for size in (1, 7):
        np.testing.assert_allclose(answer(images, batch_size=size), whole, rtol=1e-4, atol=1e-5)
    none = answer(images[:0])
    assert (none.shape, none.dtype) == ((0, whole.shape[1]), np.float32)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_the_parts_of_a_large_batch_come_back_in_order(runtime: str, threads: int, trained: dict[str, Run],
                                                       rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch,
                                                       ) -> None:
    monkeypatch.setenv("TENFOLD_THREADS", str(threads))
    predictor = open_predictor(trained["cnn"], runtime)
    images = rng.integers(0, 256, (9 * PART + 5, 32, 32, 3), np.uint8)
    for _ in range(2):
        logits, features = predictor.logits_and_features(images, batch_size=len(images))
        expected = predictor.logits_and_features(images, batch_size=PART)
        np.testing.assert_allclose(logits, expected[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(features, expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("runtime", ["fast", "onnx", "openvino"])
def test_several_threads_may_predict_at_once(runtime: str, trained: dict[str, Run], images: np.ndarray,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_THREADS", "2")
    predictor = open_predictor(trained["cnn"], runtime)
    batches = [images[:3], images[3:8], np.concatenate([images, images[:5]])] * 4
    expected = [predictor.predict(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, known in zip(pool.map(predictor.predict, batches), expected, strict=True):
            np.testing.assert_allclose(found, known, atol=1e-6)


class Gathered:
    """Images that can only be gathered, a batch at a time, and remembers how many were."""

    def __init__(self, images: np.ndarray) -> None:
        self._images, self.shape, self.gathered = images, images.shape, []

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[np.ndarray]:
        raise AssertionError("gone through one by one")

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise AssertionError("taken into memory as a whole")

    def __getitem__(self, index: Any) -> np.ndarray:
        assert isinstance(index, np.ndarray)
        self.gathered.append(len(index))
        return self._images[index]


@pytest.mark.parametrize("runtime", RUNTIMES.names())
def test_images_are_gathered_in_batches(
    runtime: str, trained: dict[str, Run], images: np.ndarray, tmp_path: Path,
) -> None:
    predictor, lazy = open_predictor(trained["cnn"], runtime), Gathered(images)
    expected = predictor.predict(images, batch_size=25)
    np.testing.assert_array_equal(predictor.predict(lazy, batch_size=25), expected)
    assert lazy.gathered == [25, 25, 10]
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    np.testing.assert_array_equal(predictor.predict(mapped, batch_size=25), expected)


def test_a_runtime_works_without_the_recipe(trained: dict[str, Run], images: np.ndarray, tmp_path: Path) -> None:
    for name in MODELS:
        (tmp_path / name).mkdir()
        shutil.copy(trained[name].path / "model.keras", tmp_path / name)
        shutil.copytree(trained[name].path / "exports", tmp_path / name / "exports")
        for runtime in RUNTIMES.names():
            alone = open_predictor(Run(tmp_path / name), runtime).predict(images)
            np.testing.assert_allclose(alone, open_predictor(trained[name], runtime).predict(images), atol=1e-6)


@pytest.mark.parametrize("runtime", RUNTIMES.names())
def test_images_of_wrong_shape_or_dtype_are_refused(runtime: str, trained: dict[str, Run], images: np.ndarray) -> None:
    predictor = open_predictor(trained["mlp"], runtime)
    with pytest.raises(UsageError, match=r"received an array of shape \(60, 32, 32, 1\); expected \(n, 32, 32, 3\)"):
        predictor.predict(images[..., :1])
    with pytest.raises(UsageError, match="received dtype float64; expected uint8"):
        predictor.predict(images / 255)


def test_unknown_runtimes_and_damaged_models_are_reported(trained: dict[str, Run], tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown runtime 'kears'; did you mean 'keras'"):
        open_predictor(trained["cnn"], "kears")
    (tmp_path / "model.keras").write_bytes(b"no model")
    for runtime in ("fast", "keras", "auto"):
        with pytest.raises(RunError, match=r"model\.keras"):
            open_predictor(Run(tmp_path), runtime)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_missing_foreign_or_damaged_export_takes_one_line(
    runtime: str, trained: dict[str, Run], tmp_path: Path,
) -> None:
    with pytest.raises(RunError, match=f"the run has no exports/model.{runtime}; create it with `tenfold export"):
        open_predictor(Run(tmp_path), runtime)
    shutil.copytree(trained["cnn"].path / "exports", tmp_path / "exports")
    shutil.copy(trained["mlp"].path / "model.keras", tmp_path)
    with pytest.raises(RunError, match="was exported from another model than"):
        open_predictor(Run(tmp_path), runtime)
    path = tmp_path / "exports" / f"model.{runtime}"
    path.with_name(f"{path.name}.json").unlink()  # which names the hash of the content
    inner = path / "model.xml" if path.is_dir() else path
    for content in (inner.read_bytes()[:200], b"", b"no model at all"):
        inner.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"^[^\n]*(can't be opened|no model that Tenfold)[^\n]*$"):
            open_export(path)
    with pytest.raises(ModelFileError, match="there is no exported model"):
        open_export(tmp_path / "elsewhere.onnx")


def test_auto_is_the_kept_onnx_model_and_without_a_good_one_the_fast_runtime(
    trained: dict[str, Run], images: np.ndarray, tmp_path: Path,
) -> None:
    assert isinstance(open_predictor(trained["cnn"], "auto"), Exported)
    for name in ("model.keras", "recipe.toml"):
        shutil.copy(trained["cnn"].path / name, tmp_path)
    expected = open_predictor(trained["cnn"], "fast").predict(images)
    (tmp_path / "exports").mkdir()
    for content in (None, b"damaged", (trained["mlp"].path / "exports" / "model.onnx").read_bytes()):
        if content is not None:
            (tmp_path / "exports" / "model.onnx").write_bytes(content)
        opened = open_predictor(Run(tmp_path), "auto")
        assert not isinstance(opened, Exported)
        np.testing.assert_array_equal(opened.predict(images), expected)
