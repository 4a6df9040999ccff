"""`model.keras`: its configuration names no setting that older versions of Keras do not know."""

from __future__ import annotations

import inspect
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tenfold import modelfile
from tenfold.backend import keras
from tenfold.errors import RunError
from tenfold.foreign.load import without_memory
from tenfold.models import build
from tenfold.recipe import Recipe

MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp"},
    "cnn": {"name": "cnn", "image_size": 48},
    "speednet": {"name": "speednet"},
    "pretrained": {"name": "pretrained", "backbone": "MobileNetV3Small", "weights": "none", "trainable": "none"},
}


def settings(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of a configuration, however deep."""
    if isinstance(value, dict):
        yield from value.items()
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from settings(each)


def network() -> keras.Model:
    inputs = x = keras.Input((16, 16, 3))
    x = keras.layers.Resizing(8, 8)(x)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(x))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


@pytest.mark.parametrize("name", MODELS)
def test_saved_models_have_no_default_setting_unknown_to_older_keras(name: str) -> None:
    with without_memory():
        model = build(Recipe.from_dict({"model": MODELS[name]}).model, (32, 32, 3), 3)
    whole = keras.saving.serialize_keras_object(model)
    assert modelfile.ADDED.keys() & {key for key, _ in settings(whole)}, "nothing to leave out"
    left = json.loads(modelfile.for_older_keras(json.dumps(whole)))
    assert not modelfile.ADDED.keys() & {key for key, _ in settings(left)}


def test_a_saved_file_keeps_members_facts_and_weights(tmp_path: Path) -> None:
    model, facts = network(), {"classes": ["ä", "b"], "shape": [16, 16, 3]}
    modelfile.save(model, tmp_path / "model.keras", facts)
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5", "tenfold.json"]
        found = json.loads(archive.read("config.json"))
    assert not modelfile.ADDED.keys() & {key for key, _ in settings(found)}
    assert modelfile.facts(tmp_path / "model.keras") == facts
    loaded = modelfile.load(tmp_path / "model.keras")
    model.save(tmp_path / "whole.keras")
    assert loaded.get_config() == keras.saving.load_model(tmp_path / "whole.keras").get_config()
    assert all(np.array_equal(a, b) for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True))


def test_a_saved_hdf5_file_has_no_default_setting_unknown_to_older_keras(tmp_path: Path) -> None:
    model = network()
    modelfile.save_h5(model)(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5") as file:
        found = json.loads(file.attrs["model_config"])
    assert not modelfile.ADDED.keys() & {key for key, _ in settings(found)}
    loaded = keras.saving.load_model(tmp_path / "model.h5", compile=False)
    assert all(np.array_equal(a, b) for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True))


def test_settings_with_other_values_than_the_default_stay() -> None:
    layers = [keras.layers.BatchNormalization(renorm=True, renorm_momentum=0.5), keras.layers.Resizing(
        8, 8, antialias=True), keras.layers.Dense(2, kernel_initializer=keras.initializers.HeNormal(input_axes=[0]))]
    for layer in layers:
        config = keras.saving.serialize_keras_object(layer)
        again = keras.saving.deserialize_keras_object(json.loads(modelfile.for_older_keras(json.dumps(config))))
        assert keras.saving.serialize_keras_object(again)["config"] == config["config"]


def test_equal_keys_outside_layer_settings_stay() -> None:
    config = {"class_name": "Functional", "config": {"layers": [{"inbound_nodes": [{"kwargs": {"antialias": False}}]}]}}
    assert json.loads(modelfile.for_older_keras(json.dumps(config))) == config


def test_omitted_settings_are_defaults_of_the_installed_keras() -> None:
    """Else a file would load as another model than was saved."""
    defaults = {}
    for kind in (keras.layers.Resizing, keras.layers.MultiHeadAttention, keras.layers.BatchNormalization,
                 keras.layers.Dense, keras.initializers.VarianceScaling):
        defaults |= {name: each.default for name, each in inspect.signature(kind.__init__).parameters.items()}
    assert {name: defaults[name] for name in modelfile.ADDED} == modelfile.ADDED


def test_facts_nested_too_deep_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("tenfold.json", "[" * 100_000)
    with pytest.raises(RunError, match=r"^[^\n]*no readable tenfold\.json[^\n]*\)$"):
        modelfile.facts(tmp_path / "model.keras")


def test_a_file_that_declares_more_weights_than_it_stores_is_refused(tmp_path: Path) -> None:
    """Keras would fill gigabytes before it looks for the weights."""
    path = tmp_path / "model.keras"
    modelfile.save(network(), path, {"classes": ["a", "b"], "shape": [16, 16, 3]})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][-1]["config"]["units"] = 60_000_000
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "config.json": json.dumps(config)}.items():
            archive.writestr(name, content)
    with pytest.raises(RunError, match=r"^[^\n]*its layers declare 8,640,[0-9,]+ weights or more[^\n]*$"):
        modelfile.load(path)


def test_a_copy_has_further_facts_and_the_same_model(tmp_path: Path) -> None:
    model, facts = network(), {"classes": ["a", "b"], "shape": [16, 16, 3]}
    modelfile.save(model, tmp_path / "model.keras", facts)
    modelfile.copy(tmp_path / "model.keras", tmp_path / "copy.keras", {"decisions": {"temperature": 2.0}})
    assert modelfile.facts(tmp_path / "copy.keras") == {**facts, "decisions": {"temperature": 2.0}}
    for mine, theirs in zip(modelfile.load(tmp_path / "copy.keras").get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert modelfile.fingerprint(tmp_path / "copy.keras") != modelfile.fingerprint(tmp_path / "model.keras")
    (tmp_path / "bad.keras").write_bytes((tmp_path / "model.keras").read_bytes()[:500])
    with pytest.raises(RunError, match=r"bad\.keras: is damaged"):
        modelfile.copy(tmp_path / "bad.keras", tmp_path / "none.keras", {})
    assert not (tmp_path / "none.keras").exists()
