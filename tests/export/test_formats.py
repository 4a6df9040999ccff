"""Every format: the same predictions, any batch size, the facts inside, readable without Tenfold."""

from __future__ import annotations

import json
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold import jobs
from tenfold.errors import MissingExtraError
from tenfold.export import Export, savedmodel
from tenfold.export.page.packing import unpack_model
from tenfold.export.source import Source
from tenfold.registry import FORMATS
from tenfold.run import Run
from tenfold.runtimes import open_predictor

OUTPUTS = ["probabilities", "calibrated", "features", "logits"]
LARGE = ("litert", "tf")  # their tools are not installed for the tests: gigabytes
Outputs = list[np.ndarray]


def with_onnx(path: Path, images: np.ndarray) -> Outputs:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    assert [output.name for output in session.get_outputs()] == OUTPUTS
    return session.run(None, {session.get_inputs()[0].name: images})


def with_openvino(path: Path, images: np.ndarray) -> Outputs:
    import openvino

    model = openvino.Core().compile_model(path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = model(images)
    return [found[name] for name in OUTPUTS]


def with_torch(path: Path, images: np.ndarray) -> Outputs:
    import torch

    with torch.no_grad():
        return [output.numpy() for output in torch.export.load(path).module()(torch.from_numpy(images))]


def with_keras(path: Path, images: np.ndarray) -> Outputs:
    import keras

    return [np.asarray(output.detach()) for output in keras.saving.load_model(path, compile=False)(images)]


def with_html(path: Path, images: np.ndarray) -> Outputs:
    """The model inside a page; what a browser computes is in test_page."""
    return with_onnx(inside_page(path), images)


def inside_page(path: Path) -> Path:
    """The ONNX model inside a page, as a file beside it."""
    text = path.read_text(encoding="utf-8").partition('id="model">')[2]
    inside = path.with_suffix(".onnx")
    inside.write_bytes(unpack_model(text.partition("</script>")[0]))
    return inside


def with_tf(path: Path, images: np.ndarray) -> Outputs:
    """In the Python that has TensorFlow, with TensorFlow alone."""
    code = ("import sys, numpy, tensorflow; load = tensorflow.saved_model.load; "
            "found = load(sys.argv[1]).signatures['serve'](pixels=numpy.load(sys.argv[2])); "
            "numpy.savez(sys.argv[3], **{name: value.numpy() for name, value in found.items()})")
    with tempfile.TemporaryDirectory() as name:
        np.save(f"{name}/in.npy", images)
        subprocess.run([savedmodel.python(), "-c", code, path, f"{name}/in.npy", f"{name}/out.npz"], check=True,
                       capture_output=True)
        with np.load(f"{name}/out.npz") as found:
            return [found[output] for output in OUTPUTS]


def with_litert(path: Path, images: np.ndarray) -> Outputs:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()
    rows = [runner(pixels=images[i : i + 1]) for i in range(len(images))]
    return [np.concatenate([row[name] for row in rows]) for name in OUTPUTS]


READERS: dict[str, Callable[[Path, np.ndarray], Outputs]] = {
    "onnx": with_onnx, "openvino": with_openvino, "torch": with_torch, "keras": with_keras, "h5": with_keras,
    "html": with_html, "tf": with_tf, "litert": with_litert,
}


def facts_inside(path: Path) -> dict[str, Any]:
    """The facts in an exported file, read with the libraries of its format alone."""
    path = inside_page(path) if path.suffix == ".html" else path
    if path.suffix == ".onnx":
        import onnx

        return json.loads(next(each.value for each in onnx.load(path).metadata_props if each.key == "tenfold"))
    if path.suffix == ".openvino":
        import openvino

        return json.loads(openvino.Core().read_model(path / "model.xml").get_rt_info(["tenfold"]).astype(str))
    if path.suffix == ".savedmodel":
        return json.loads((path / "assets.extra" / "tenfold.json").read_text(encoding="utf-8"))
    if path.suffix == ".pt2":
        import torch

        inside = {"tenfold": ""}
        torch.export.load(path, extra_files=inside)
        return json.loads(inside["tenfold"])
    if path.suffix in (".keras", ".tflite"):
        return json.loads(zipfile.ZipFile(path).read("tenfold.json"))
    import h5py

    with h5py.File(path) as file:
        return json.loads(file.attrs["tenfold"])


@pytest.fixture(scope="module", params=["mlp", "cnn", "speednet", "probe"])
def run(request: pytest.FixtureRequest, runs: dict[str, Run]) -> Run:
    return runs[request.param]


@pytest.fixture(scope="module", params=FORMATS.names())
def made(request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Export:
    if request.param == "tf" and run.name != "cnn-1":
        pytest.skip("TensorFlow takes ten seconds for each model")
    try:
        return jobs.export(run, request.param, tmp_path_factory.mktemp("out"))
    except MissingExtraError as missing:
        if request.param in LARGE:
            pytest.skip(str(missing))
        raise


def format_of(made: Export) -> str:
    return next(name for name in FORMATS.names() if FORMATS.get(name).suffix == made.path.suffix)


def test_an_export_predicts_like_keras_for_any_batch(made: Export, run: Run, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (33, 32, 32, 3), np.uint8)
    expected = open_predictor(run, "keras")
    read = READERS[format_of(made)]
    found = read(made.path, images)
    np.testing.assert_allclose(found[0], expected.predict(images), atol=1e-5)
    assert found[0].std(axis=0).max() > 1e-4
    np.testing.assert_allclose(found[2], expected.features(images), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[3], expected.logits(images), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(read(made.path, images[:1])[0], found[0][:1], atol=1e-5)
    assert made.agreement.largest <= 1e-5


def test_an_export_stores_each_weight_once(made: Export, run: Run) -> None:
    if made.path.suffix == ".html":
        pytest.skip("a page is compressed")
    bias = next(each for each in reversed(Source.of(run).plain.weights) if each.shape == (10,))
    files = [path for path in made.path.rglob("*") if path.is_file()] if made.path.is_dir() else [made.path]
    assert sum(path.read_bytes().count(np.asarray(bias, np.float32).tobytes()) for path in files) == 1


def test_an_export_holds_its_facts_and_a_json_file_beside_it_too(made: Export, run: Run) -> None:
    beside = json.loads(made.facts.read_text())["tenfold"]
    inside = facts_inside(made.path)
    rules = inside.pop("decisions")
    if format_of(made) == "html":  # the page has all rules for its scripts, and the model inside it a part
        assert rules["sets"] == [{key: each[key] for key in rules["sets"][0]} for each in beside["decisions"]["sets"]]
        assert all(rules[key] == beside["decisions"][key] for key in ("temperature", "accepted"))
    else:
        assert rules == beside["decisions"]
    assert inside == {key: beside[key] for key in inside}
    assert inside["classes"] == list(open_predictor(run, "keras").classes)
    assert inside["shape"] == [32, 32, 3]
    assert inside["outputs"] == OUTPUTS
    assert inside["preprocessing"]["size"]["height"] == 32
    assert (beside["bytes"], beside["file"]) == (made.size, made.path.name)
    assert made.size > 1000
