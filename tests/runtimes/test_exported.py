"""Exported models of others, damaged ones, and what an exported model says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from onnx import numpy_helper

from tenfold.errors import ModelFileError
from tenfold.export import onnxgraph
from tenfold.models import build
from tenfold.recipe import Recipe
from tenfold.runtimes import open_export
from tenfold.runtimes.exported import KEY, measured

FACTS: dict[str, Any] = {"classes": ["cat", "dog"], "shape": [8, 8, 1], "features": 4}


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    section = Recipe.from_dict({"model": {"name": "mlp", "hidden": [4]}}).model
    return onnxgraph.build(build(section, (8, 8, 1), 2), 1.0, FACTS)


def written(path: Path, graph: onnx.ModelProto, **changed: Any) -> Path:
    """The model as an ONNX file or an OpenVINO folder, with some facts changed."""
    facts = json.dumps({**FACTS, **changed})
    if path.suffix == ".openvino":
        model = openvino.Core().read_model(graph.SerializeToString())
        model.set_rt_info(facts, [KEY])
        openvino.save_model(model, path / "model.xml", compress_to_fp16=False)
    else:
        copy = onnx.ModelProto()
        copy.CopyFrom(graph)
        onnx.helper.set_model_props(copy, {KEY: facts})
        path.write_bytes(copy.SerializeToString())
    return path


@pytest.fixture(params=["onnx", "openvino"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"model.{request.param}"


def test_a_model_that_says_the_truth_is_opened(path: Path, graph: onnx.ModelProto) -> None:
    opened = open_export(written(path, graph, source={"run": "a"}, pixels=None))
    assert opened.predict(np.zeros((3, 8, 8, 1), np.uint8)).shape == (3, 2)


@pytest.mark.parametrize("changed", [
    {"classes": "ab"}, {"classes": ["a", "a"]}, {"classes": [1, 2]}, {"classes": []}, {"shape": [-1, 8, 1]},
    {"shape": [8, 8]}, {"features": "4"}, {"features": 10**13}, {"source": [1]}, {"pixels": {"mean": "x"}},
    {"pixels": [1]}, {"resize": "evil"},
], ids=str)
def test_facts_of_another_form_are_refused(changed: dict[str, Any], graph: onnx.ModelProto, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"^[^\n]*is no model that Tenfold exported[^\n]*$"):
        open_export(written(tmp_path / "model.onnx", graph, **changed))


@pytest.mark.parametrize(("changed", "name"), [
    ({"classes": ["a"]}, "probabilities"), ({"shape": [64, 64, 3]}, "pixels"), ({"shape": [10**6, 10**6, 3]}, "pixels"),
    ({"features": 3}, "features"),
], ids=str)
def test_facts_of_another_graph_are_refused(changed: dict[str, Any], name: str, path: Path, graph: onnx.ModelProto,
                                            ) -> None:
    with pytest.raises(ModelFileError, match=rf"^[^\n]*has '{name}' of shape \[.*damaged or was changed[^\n]*$"):
        open_export(written(path, graph, **changed))


def test_a_graph_without_pixels_is_refused(graph: onnx.ModelProto, tmp_path: Path) -> None:
    renamed = onnx.ModelProto()
    renamed.ParseFromString(graph.SerializeToString().replace(b"\x06pixels", b"\x06images"))
    with pytest.raises(ModelFileError, match="has 'pixels' of shape"):
        open_export(written(tmp_path / "model.onnx", renamed))


def test_a_model_that_gives_no_numbers_does_not_answer(path: Path, graph: onnx.ModelProto) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(graph)
    for weight in broken.graph.initializer:
        if len(weight.dims) == 2:
            weight.CopyFrom(numpy_helper.from_array(np.full(weight.dims, np.nan, np.float32), weight.name))
    opened, images = open_export(written(path, broken)), np.zeros((3, 8, 8, 1), np.uint8)
    for answer in (opened.predict, opened.logits, opened.logits_and_features):
        with pytest.raises(ModelFileError, match=r"gives [a-z ]+ that are no finite numbers"):
            answer(images)


def test_a_changed_content_is_found_by_the_hash_beside_it(path: Path, graph: onnx.ModelProto) -> None:
    beside = path.with_name(f"{path.name}.json")
    beside.write_text(json.dumps({KEY: {"sha256": measured(written(path, graph))[1]}}))
    open_export(path)
    weights = path / "model.bin" if path.is_dir() else path
    content = weights.read_bytes()
    changed = bytearray(content)
    changed[len(content) // 2] ^= 0x40
    weights.write_bytes(changed)
    with pytest.raises(ModelFileError, match=r"has not the SHA-256 that model\.\w+\.json names: it is damaged"):
        open_export(path)
    weights.write_bytes(content)
    for damaged in ("", "[]", "{}"):
        beside.write_text(damaged)  # tells nothing
        open_export(path)
