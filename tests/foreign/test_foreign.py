"""Model files and the graphs in them: a hostile one is refused in one line, runs no code, takes no memory."""

from __future__ import annotations

import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_files import MEMBERS, layer, network, rewritten

from tenfold.backend import keras
from tenfold.errors import ModelFileError
from tenfold.foreign.load import load_model, load_weights


def test_an_ordinary_file_loads_with_its_weights(good: Path) -> None:
    original, loaded = keras.saving.load_model(good), load_model(good)
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), original.predict(images, verbose=0))


def test_a_whole_model_in_hdf5_loads(tmp_path: Path) -> None:
    model = network()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absl.logging.warning", lambda *_: None)
        model.save(tmp_path / "whole.h5")
    assert all(np.array_equal(a, b)
               for a, b in zip(load_model(tmp_path / "whole.h5").get_weights(), model.get_weights(), strict=True))


# ----------------------------------------------------------------------------------------------------
# hostile graphs


def becomes(kind: str, module: str | None, config: dict, registered: str | None = None) -> Callable[[dict], None]:
    """A change of the graph: its activation layer becomes another object."""

    def change(graph: dict) -> None:
        layer(graph, "act").update(class_name=kind, module=module, registered_name=registered,
                                   config={"name": "act", **config})
    return change


def setting(name: str, **values: Any) -> Callable[[dict], None]:
    def change(graph: dict) -> None:
        layer(graph, name)["config"].update(values)
    return change


def consistent(**values: Any) -> Callable[[dict], None]:
    """A change of the convolution that the layers after it follow."""

    def change(graph: dict) -> None:
        setting("conv", **values)(graph)
        for each in graph["config"]["layers"]:
            each.pop("build_config", None)
    return change


def called_with(**values: Any) -> Callable[[dict], None]:
    """A change of the graph: further values, into which Keras looks, where its activation layer is called."""

    def change(graph: dict) -> None:
        layer(graph, "act")["inbound_nodes"][0]["kwargs"].update(values)
    return change


def beside(graph: dict) -> None:
    graph["config"]["layers"].append({**WIDE, "name": "wide", "inbound_nodes": []})


def endless_input(graph: dict) -> None:
    consistent()(graph)
    setting("pixels", batch_shape=[None, 9000, 9000, 3])(graph)


def activation_in_activation(graph: dict) -> None:
    found: Any = "relu"
    for _ in range(400):
        found = {"class_name": "ReLU", "config": {"activation": found}}
    setting("act", activation=found)(graph)


WIDE = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "wide", "units": 60_000},
        "registered_name": None, "build_config": {"input_shape": [None, 60_000]}}
CODE = {"class_name": "__lambda__", "config": {"value": ["4wAAAAA=", None, None]}}

GRAPHS: dict[str, tuple[Callable[[dict], None], str]] = {
    "Lambda with code": (becomes("Lambda", "keras.layers", {"function": CODE}), "object 'Lambda' called 'act';"),
    "Lambda without a module": (becomes("Lambda", None, {"function": CODE}), "object 'Lambda' called 'act';"),
    "code as an activation": (setting("act", activation=CODE), "activation"),
    "code as an initializer": (setting("conv", kernel_initializer=CODE), "__lambda__"),
    "wrapped PyTorch module": (becomes("TorchModuleWrapper", "keras.layers", {"module": "gASVAAAA"}),
                               "TorchModuleWrapper"),
    "TFSMLayer": (becomes("TFSMLayer", "keras.layers", {"filepath": "/etc"}), "TFSMLayer"),
    "JaxLayer": (becomes("JaxLayer", "keras.layers", {"call_fn": CODE}), "JaxLayer"),
    "StringLookup with a path": (becomes("StringLookup", "keras.layers", {"vocabulary": "/etc/passwd"}),
                                 "StringLookup"),
    "TextVectorization with a path": (becomes("TextVectorization", "keras.layers", {"vocabulary": "/etc/passwd"}),
                                      "TextVectorization"),
    "a function of Keras that fetches": (becomes("get_file", "keras.utils", {"origin": "http://127.0.0.1:9/x"}),
                                         "get_file"),
    "a class of another module": (becomes("Popen", "subprocess", {"args": ["touch", "owned"]}), "subprocess"),
    "a class of Keras' insides": (becomes("Sequence", "keras.src.utils.file_utils", {}), "file_utils"),
    "a registered object": (becomes("ReLU", "keras.layers", {}, registered="Evil>ReLU"), "Evil>ReLU"),
    "a lambda inside a wrapper": (
        becomes("TimeDistributed", "keras.layers", {"layer": {"class_name": "Lambda", "config": {}}}),
        "TimeDistributed"),
    "numpy objects": (setting("conv", kernel_initializer={"class_name": "__numpy__", "config":
                                                          {"value": [1], "dtype": "object"}}), "__numpy__"),
    "too many filters": (setting("conv", filters=10**12), "1,000,000,000,000"),
    "code as a name": (called_with(name=CODE), "'name' of .* is dict; expected a text"),
    "code as a module": (called_with(module=CODE), "'module' of .* is dict; expected a text"),
    "code as a registered name": (called_with(registered_name=CODE),
                                  "'registered_name' of .* is dict; expected a text"),
    "code as a history": (called_with(keras_history=CODE), "object '__lambda__' in"),
    "a history of a history": (called_with(keras_history={"keras_history": [CODE]}), "object '__lambda__' in"),
    "activations without end": (activation_in_activation, "is nested deeper than 60"),
    "a name of two lines": (becomes("Lambda\nowned", None, {}), r"object 'Lambda\\nowned' called 'act';"),
    "a key of two lines": (setting("act", **{"evil\nkey": 10**9}),
                           r"'evil\\nkey' of 'Activation' called 'act' is 1,000,000,000"),
    "statistics of every pixel": (becomes("Normalization", "keras.layers", {"axis": [1, 2, 3]}),
                                  "'Normalization' called 'act' has statistics for 3 axes; expected one"),
    "filters that no weights bear out": (consistent(filters=60_000),
                                         "refused: its layers declare [0-9,]+ weights or more but it stores 128"),
    "a layer beside the network": (beside, "refused: its layers declare [0-9,]+ weights or more but it stores 128"),
    "a layer in a call": (called_with(more=WIDE),
                          "refused: its layers declare [0-9,]+ weights or more but it stores 128"),
    "an input without end": (endless_input, "'pixels' outputs 24,300,000,000 values for 100 images"),
    "an image without end": (becomes("ZeroPadding2D", "keras.layers", {"padding": [60000, 60000]}),
                             "'act' outputs 5,760,768,025,600 values for 100 images"),
    "upsampled without end": (becomes("UpSampling2D", "keras.layers", {"size": [9000, 9000]}),
                              "'act' outputs 2,073,600,000,000 values for 100 images"),
}


def peak() -> int:
    """The most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("hostile", GRAPHS, ids=str)
def test_a_hostile_graph_is_refused(hostile: str, good: Path, tmp_path: Path) -> None:
    change, said = GRAPHS[hostile]
    path = rewritten(good, tmp_path / "hostile.keras", graph=change)
    load_model(good)  # whatever memory an honest file takes is taken now
    before = peak()
    with pytest.raises(ModelFileError, match=rf"^[^\n]*hostile.keras[^\n]*({said})[^\n]*$"):
        load_model(path)
    assert peak() - before < 256 << 20
    assert not Path("owned").exists()


def test_a_layer_that_fails_on_the_meta_device_is_not_traced_with_real_tensors(good: Path, tmp_path: Path) -> None:
    """Keras would trace it again with real tensors of a trillion numbers."""

    def change(graph: dict) -> None:
        becomes("Reshape", "keras.layers", {"target_shape": [7, 7, 7]})(graph)
        layer(graph, "pixels")["config"]["batch_shape"] = [None, 60000, 60000, 3]

    path = rewritten(good, tmp_path / "hostile.keras", graph=change)
    before = peak()
    with pytest.raises(ModelFileError, match=r"^[^\n]*$"):
        load_model(path)
    assert peak() - before < 256 << 20


def test_layers_of_nested_models_are_measured_for_a_whole_batch(tmp_path: Path) -> None:
    """For one image, 41 million numbers would do."""
    inputs = x = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.UpSampling2D(240, name="large")(x))
    inner, outer = keras.Model(inputs, x), keras.Input((16, 16, 3))
    keras.Model(outer, inner(outer)).save(tmp_path / "nested.keras")
    with pytest.raises(ModelFileError, match=r"^[^\n]*nested.keras: refused: 'large' outputs 4,423,680,000 values for "
                                             r"100 images; expected at most 2,147,483,648$"):
        load_model(tmp_path / "nested.keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_sequential_model_loads(suffix: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((16, 16, 3)), *network().layers[1:]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absl.logging.warning", lambda *_: None)
        model.save(tmp_path / f"row{suffix}")
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    loaded = load_model(tmp_path / f"row{suffix}")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))
    model.save_weights(tmp_path / "row.weights.h5")
    loaded.set_weights([0 * value for value in loaded.get_weights()])
    load_weights(loaded, tmp_path / "row.weights.h5")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))


def test_a_sequential_model_that_was_never_built_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="not yet been built"):
        keras.Sequential([keras.layers.GlobalAveragePooling2D()]).save(tmp_path / "row.keras")
    with pytest.raises(ModelFileError, match=r"^[^\n]*row.keras: the Sequential model was never built; start it "
                                             r"with keras.Input\(\(height, width, channels\)\) and save it again$"):
        load_model(tmp_path / "row.keras")


def test_a_network_that_takes_no_images_is_refused(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((16,)), keras.layers.Dense(2)]).save(tmp_path / "row.keras")
    with pytest.raises(ModelFileError, match=r"^[^\n]*row.keras: its inputs are \[\(None, 16\)\]; expected one input "
                                             r"of images \[n, height, width, channels\]$"):
        load_model(tmp_path / "row.keras")


def test_a_graph_nested_too_deep_is_refused(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep.keras"
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(path, "w") as new:
        for name in MEMBERS:
            new.writestr(name, b'{"a":' * 50_000 + b"1" + b"}" * 50_000 if name == "config.json"
                         else archive.read(name))
    with pytest.raises(ModelFileError, match="nested"):
        load_model(path)
