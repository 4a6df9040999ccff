"""Hostile model files: each is refused in one line, runs no code, opens no other file, takes no memory."""

from __future__ import annotations

import json
import resource
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tenfold.backend import keras
from tenfold.errors import ModelFileError
from tenfold.foreign import hdf5, model_copy
from tenfold.foreign.load import load_model, load_weights

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def network(units: int = 4, name: str = "small") -> keras.Model:
    """A small network of an ordinary kind, with weights of its own."""
    inputs = x = keras.Input((16, 16, 3), name="pixels")
    x = keras.layers.Conv2D(units, 3, strides=2, padding="same", name="conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Activation("relu", name="act")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x), name=name)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    network().save(tmp_path / "good.keras")
    return tmp_path / "good.keras"


def rewritten(source: Path, target: Path, graph: Callable[[dict], Any] | None = None,
              weights: Callable[[h5py.File], Any] | None = None, more: dict[str, bytes] | None = None) -> Path:
    """A copy of a `.keras` file with its graph or its weights changed, or with further members."""
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in MEMBERS}
    if graph:
        config = json.loads(parts["config.json"])
        graph(config)
        parts["config.json"] = json.dumps(config).encode()
    if weights:
        stored = target.with_suffix(".h5")
        stored.write_bytes(parts["model.weights.h5"])
        with h5py.File(stored, "r+") as file:
            weights(file)
        parts["model.weights.h5"] = stored.read_bytes()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**parts, **(more or {})}.items():
            archive.writestr(name, content)
    return target


def layer(config: dict, name: str) -> dict:
    return next(each for each in config["config"]["layers"] if each["name"] == name)


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
    "code as a name": (called_with(name=CODE), "'name' of .* is no text"),
    "code as a module": (called_with(module=CODE), "'module' of .* is no text"),
    "code as a registered name": (called_with(registered_name=CODE), "'registered_name' of .* is no text"),
    "code as a history": (called_with(keras_history=CODE), "object '__lambda__' in"),
    "a history of a history": (called_with(keras_history={"keras_history": [CODE]}), "object '__lambda__' in"),
    "activations without end": (activation_in_activation, "is nested deeper than 60"),
    "a name of two lines": (becomes("Lambda\nowned", None, {}), r"object 'Lambda\\nowned' called 'act';"),
    "a key of two lines": (setting("act", **{"evil\nkey": 10**9}),
                           r"'evil\\nkey' of 'Activation' called 'act' is 1,000,000,000"),
    "statistics of every pixel": (becomes("Normalization", "keras.layers", {"axis": [1, 2, 3]}),
                                  "'Normalization' called 'act' has statistics for more than one axis"),
    "filters that no weights bear out": (consistent(filters=60_000),
                                         "refused: its layers declare 1,920,000 weights and it holds 128"),
    "a layer beside the network": (beside, "refused: its layers declare 3,600,060,128 weights and it holds 128"),
    "a layer in a call": (called_with(more=WIDE), "refused: its layers declare 3,600,060,128 weights and it holds 128"),
    "an input without end": (endless_input, "'pixels' gives 24,300,000,000 numbers for 100 images"),
    "an image without end": (becomes("ZeroPadding2D", "keras.layers", {"padding": [60000, 60000]}),
                             "'act' gives 5,760,768,025,600 numbers for 100 images"),
    "upsampled without end": (becomes("UpSampling2D", "keras.layers", {"size": [9000, 9000]}),
                              "'act' gives 2,073,600,000,000 numbers for 100 images"),
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


def test_a_layer_that_cannot_be_traced_without_memory_takes_none(good: Path, tmp_path: Path) -> None:
    """Keras would trace it again with real tensors of a trillion numbers."""

    def change(graph: dict) -> None:
        becomes("Reshape", "keras.layers", {"target_shape": [7, 7, 7]})(graph)
        layer(graph, "pixels")["config"]["batch_shape"] = [None, 60000, 60000, 3]

    path = rewritten(good, tmp_path / "hostile.keras", graph=change)
    before = peak()
    with pytest.raises(ModelFileError, match=r"^[^\n]*$"):
        load_model(path)
    assert peak() - before < 256 << 20


def test_a_layer_of_a_network_inside_is_sized_for_a_batch(tmp_path: Path) -> None:
    """For one image, 41 million numbers would do."""
    inputs = x = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.UpSampling2D(240, name="large")(x))
    inner, outer = keras.Model(inputs, x), keras.Input((16, 16, 3))
    keras.Model(outer, inner(outer)).save(tmp_path / "nested.keras")
    with pytest.raises(ModelFileError, match=r"^[^\n]*nested.keras: refused: 'large' gives 4,423,680,000 numbers for "
                                             r"100 images; at most 2,147,483,648 are taken$"):
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
    with pytest.raises(ModelFileError, match=r"^[^\n]*row.keras: is a Sequential model that was never built; begin it "
                                             r"with keras.Input\(\(height, width, channels\)\) and save it again$"):
        load_model(tmp_path / "row.keras")


def test_a_network_that_takes_no_images_is_refused(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((16,)), keras.layers.Dense(2)]).save(tmp_path / "row.keras")
    with pytest.raises(ModelFileError, match=r"^[^\n]*row.keras: takes \[\(None, 16\)\]; expected one input of images "
                                             r"\[n, height, width, channels\]$"):
        load_model(tmp_path / "row.keras")


def test_a_graph_nested_without_end_is_refused(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep.keras"
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(path, "w") as new:
        for name in MEMBERS:
            new.writestr(name, b'{"a":' * 50_000 + b"1" + b"}" * 50_000 if name == "config.json"
                         else archive.read(name))
    with pytest.raises(ModelFileError, match="nested"):
        load_model(path)


# ----------------------------------------------------------------------------------------------------
# hostile archives


ARCHIVES: dict[str, tuple[dict[str, bytes], str]] = {
    "zip slip": ({"../owned.txt": b"x"}, r"'\.\./owned\.txt'"),
    "an absolute path": ({"/tmp/owned.txt": b"x"}, "owned.txt"),
    "assets": ({"assets/_vocabulary.txt": b"/etc/passwd"}, "assets"),
    "zip bomb beside": ({"tenfold.json": b"0" * (30 << 20)}, "expands"),
    "a member that is too large": ({"tenfold.json": b"0" * (40 << 20)}, "declares"),
}


@pytest.mark.parametrize("hostile", ARCHIVES, ids=str)
def test_a_hostile_archive_is_refused(hostile: str, good: Path, tmp_path: Path) -> None:
    more, said = ARCHIVES[hostile]
    path = rewritten(good, tmp_path / "hostile.keras", more=more)
    with pytest.raises(ModelFileError, match=rf"^[^\n]*hostile.keras[^\n]*{said}[^\n]*$"), model_copy(path):
        pass
    assert not (tmp_path.parent / "owned.txt").exists()
    assert not Path("/tmp/owned.txt").exists()


def test_weights_that_expand_a_thousandfold_are_refused(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("config.json", archive.read("config.json"))
        new.writestr("model.weights.h5", bytes(100 << 20))
    with pytest.raises(ModelFileError, match="at most 100 : 1"):
        load_model(path)


def packed(good: Path, path: Path, method: int, graph: bytes | None = None) -> Path:
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(path, "w", method) as new:
        new.writestr("config.json", graph or archive.read("config.json"))
        new.writestr("model.weights.h5", archive.read("model.weights.h5"))
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_packed_by_other_methods_are_refused(method: int, good: Path, tmp_path: Path) -> None:
    """They expand in one go, however little is asked of them."""
    with pytest.raises(ModelFileError, match=rf"hostile.keras: refused: config.json is packed by method {method}; "
                                             "stored or deflated ones are read$"):
        load_model(packed(good, tmp_path / "hostile.keras", method))


def test_a_graph_longer_than_declared_is_not_expanded(good: Path, tmp_path: Path) -> None:
    path = packed(good, tmp_path / "hostile.keras", zipfile.ZIP_DEFLATED, b" " * (200 << 20))
    honest, false = struct.pack("<L", 200 << 20), struct.pack("<L", 9999)
    content = path.read_bytes()
    assert content.count(honest) == 2  # before the member, and in the table of contents
    path.write_bytes(content.replace(honest, false))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=r"hostile.keras: is damaged \(Bad CRC-32 for file 'config.json'\)$"):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, -30])
def test_a_truncated_file_is_refused(kept: float, good: Path, tmp_path: Path) -> None:
    content = good.read_bytes()
    end = int(kept * len(content)) if isinstance(kept, float) else kept
    (tmp_path / "half.keras").write_bytes(content[:end])
    with pytest.raises(ModelFileError, match=r"^[^\n]*half.keras[^\n]*truncated[^\n]*$"):
        load_model(tmp_path / "half.keras")


def test_a_flipped_byte_is_noticed(good: Path, tmp_path: Path) -> None:
    content = bytearray(good.read_bytes())
    content[content.index(b"model.weights.h5") + 3000] ^= 1
    (tmp_path / "flipped.keras").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"^[^\n]*flipped.keras[^\n]*damaged[^\n]*$"):
        load_model(tmp_path / "flipped.keras")


@pytest.mark.parametrize(("name", "content", "said"), [
    ("model.pkl", b"\x80\x04cos\nsystem\n", "ends in"), ("model.keras", b"\x80\x04cos\nsystem\n", "no zip"),
    ("model.h5", b"\x80\x04cos\nsystem\n", "no whole HDF5"), ("missing.keras", None, "can't be read"),
])
def test_a_wrong_type_is_refused(name: str, content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"^[^\n]*{said}[^\n]*$"):
        load_model(tmp_path / name)


# ----------------------------------------------------------------------------------------------------
# hostile weights


KERNEL = "layers/conv2d/vars/0"


def external_link(file: h5py.File) -> None:
    del file[KERNEL]
    file[KERNEL] = h5py.ExternalLink("/etc/hostname", "/")


def soft_link(file: h5py.File) -> None:
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/layers/batch_normalization/vars/0")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3, 3, 3, 4), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "data", (3, 3, 3, 4))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def external_storage(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (3, 3, 3, 4), "f4", external=[("/etc/hostname", 0, 432)])


def shape_bomb(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (1 << 14, 1 << 14), "f4", chunks=(1024, 1024))


def declared_bomb(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (1 << 20, 1 << 20, 1 << 20), "f4", chunks=(1024, 32, 32))


def packed_bomb(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, data=np.zeros((16 << 20,), "f4"), chunks=(1 << 20,), compression="gzip")


def packed_little(file: h5py.File) -> None:
    values = file[KERNEL][()]
    del file[KERNEL]
    file.create_dataset(KERNEL, data=values, compression="gzip")


def long_text(file: h5py.File) -> None:
    file.attrs["note"] = np.random.default_rng(0).bytes(17 << 20).hex()


def place_of_two_lines(file: h5py.File) -> None:
    file["evil\nplace"] = h5py.SoftLink("/layers")


def texts(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, data=["a", "b"], dtype=h5py.string_dtype())


def references(file: h5py.File) -> None:
    file.attrs["points"] = file["layers"].ref


def cycle(file: h5py.File) -> None:
    file["layers/again"] = file["/layers"]


def plug_in(file: h5py.File) -> None:
    del file[KERNEL]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((3, 3, 3, 4))
    properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)  # Zstandard: a plug-in
    h5py.h5d.create(file.id, KERNEL.encode(), h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((3, 3, 3, 4)),
                    dcpl=properties)


WEIGHTS: dict[Callable[[h5py.File], Any], str] = {
    external_link: "external link", soft_link: "soft link", virtual: "virtual", external_storage: "external file",
    shape_bomb: "its data sets declare 1,073,741,888 bytes and hold 64", texts: "weights are numbers",
    declared_bomb: "its data sets declare 4,611,686,018,427,387,968 bytes; at most 4,294,967,296 are read",
    packed_bomb: r"is packed \(by filter 1\)", packed_little: r"is packed \(by filter 1\)",
    plug_in: r"is packed \(by filter 32015\)", references: "neither text nor numbers", cycle: "more than once",
    long_text: "of its bytes are in no data set", place_of_two_lines: r"'/evil\\nplace' is a soft link",
}


@pytest.mark.parametrize("change", WEIGHTS, ids=lambda change: change.__name__)
def test_hostile_weights_are_refused(change: Callable[[h5py.File], Any], good: Path, tmp_path: Path) -> None:
    path = rewritten(good, tmp_path / "hostile.keras", weights=change)
    with pytest.raises(ModelFileError, match=rf"^[^\n]*hostile.keras[^\n]*({WEIGHTS[change]})[^\n]*$"):
        load_model(path)
    stored = shutil.copy(path.with_suffix(".h5"), tmp_path / "hostile.weights.h5")
    with pytest.raises(ModelFileError, match=WEIGHTS[change]):
        load_weights(network(), stored)


def test_long_lists_of_texts_are_refused(tmp_path: Path) -> None:
    """Each may be the same long one: the file does not bear out what they expand to."""
    with h5py.File(tmp_path / "names.weights.h5", "w") as file:
        file.attrs["layer_names"] = [f"layer {i}" for i in range(1000)]
    hdf5.check(tmp_path / "names.weights.h5", 1 << 30)
    with pytest.raises(ModelFileError, match="up to 1,000 texts of an attribute lie there"):
        hdf5.check(tmp_path / "names.weights.h5", 1 << 20)


def test_weights_come_from_each_kind_of_file(good: Path, tmp_path: Path) -> None:
    source = load_model(good)
    source.save_weights(tmp_path / "only.weights.h5")
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(tmp_path / "legacy.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, source)
    for path in (good, tmp_path / "only.weights.h5", tmp_path / "legacy.h5"):
        model = network()
        load_weights(model, path)
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), source.get_weights(), strict=True))


def test_weights_of_another_network_are_refused_in_one_line(good: Path) -> None:
    with pytest.raises(ModelFileError, match=r"^[^\n]*its weights are not those of 'wide': [^\n]*$"):
        load_weights(network(8, "wide"), good)
