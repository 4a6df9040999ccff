"""Hostile model files: each is refused in one line, runs no code, opens no other file, takes no memory."""

from __future__ import annotations

import json
import resource
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tenfold.backend import keras
from tenfold.errors import ModelFileError
from tenfold.foreign import model_copy
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


CODE = {"class_name": "__lambda__", "config": {"value": ["4wAAAAA=", None, None]}}

GRAPHS: dict[str, tuple[Callable[[dict], None], str]] = {
    "Lambda with code": (becomes("Lambda", "keras.layers", {"function": CODE}), "Lambda 'act'"),
    "Lambda without a module": (becomes("Lambda", None, {"function": CODE}), "Lambda 'act'"),
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
    "filters that no weights bear out": (setting("conv", filters=60_000), "declare|can't be loaded"),
    "an image without end": (becomes("ZeroPadding2D", "keras.layers", {"padding": [60000, 60000]}), "refused|loaded"),
    "upsampled without end": (becomes("UpSampling2D", "keras.layers", {"size": [9000, 9000]}), "numbers for one image"),
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
    shape_bomb: "declare", declared_bomb: "declare", packed_bomb: "declare", texts: "weights are numbers",
    references: "neither text nor numbers", cycle: "more than once", plug_in: "32015|plug",
}


@pytest.mark.parametrize("change", WEIGHTS, ids=lambda change: change.__name__)
def test_hostile_weights_are_refused(change: Callable[[h5py.File], Any], good: Path, tmp_path: Path) -> None:
    path = rewritten(good, tmp_path / "hostile.keras", weights=change)
    with pytest.raises(ModelFileError, match=rf"^[^\n]*hostile.keras[^\n]*({WEIGHTS[change]})[^\n]*$"):
        load_model(path)
    stored = shutil.copy(path.with_suffix(".h5"), tmp_path / "hostile.weights.h5")
    with pytest.raises(ModelFileError, match=WEIGHTS[change]):
        load_weights(network(), stored)


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
    with pytest.raises(ModelFileError, match=r"^[^\n]*its weights are not those of wide: [^\n]*$"):
        load_weights(network(8, "wide"), good)
