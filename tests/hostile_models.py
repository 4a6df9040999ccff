"""Model files made to harm their reader: each by its name, with how to make it and what the refusal says."""

from __future__ import annotations

import contextlib
import itertools
import json
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from made_files import MEMBERS, layer, rewritten

from tenfold.foreign import graph

Maker = Callable[[Path, Path], Path]  # (an ordinary file, where to write) → the file


def with_graph(text: bytes) -> Maker:
    """The ordinary file with another `config.json`."""

    def make(good: Path, target: Path) -> Path:
        with zipfile.ZipFile(good) as archive, zipfile.ZipFile(target, "w") as new:
            for name in MEMBERS:
                new.writestr(name, text if name == "config.json" else archive.read(name))
        return target
    return make


def changed(change: Callable[[dict], Any]) -> Maker:
    return lambda good, target: rewritten(good, target, graph=change)


def stored(change: Callable[[h5py.File], Any]) -> Maker:
    return lambda good, target: rewritten(good, target, weights=change)


# ----------------------------------------------------------------------------------------------------
# graphs


def tensor(name: str, node: int = 0) -> dict:
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "dtype": "float32",
                                                         "keras_history": [name, node, 0]}}


def call(*names: tuple[str, int]) -> dict:
    return {"args": [tensor(name, node) for name, node in names], "kwargs": {}}


def relu(name: str, *nodes: dict) -> dict:
    return {"module": "keras.layers", "class_name": "ReLU", "config": {"name": name}, "registered_name": None,
            "name": name, "inbound_nodes": list(nodes)}


def pixels() -> dict:
    return {"module": "keras.layers", "class_name": "InputLayer", "config": {
        "batch_shape": [None, 8, 8, 3], "dtype": "float32", "name": "pixels"}, "registered_name": None,
        "name": "pixels", "inbound_nodes": []}


def functional(name: str, layers: list[dict], last: str, node: int = 0) -> dict:
    return {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
            "name": name, "config": {"name": name, "trainable": True, "layers": layers,
                                     "input_layers": [["pixels", 0, 0]], "output_layers": [[last, node, 0]]}}


def chain(length: int) -> dict:
    names = ["pixels", *(f"relu_{i}" for i in range(length))]
    layers = [relu(after, call((before, 0))) for before, after in itertools.pairwise(names)]
    return functional("chain", [pixels(), *layers], names[-1])


def nested(levels: int, times: int) -> dict:
    """A network that calls one of the same kind `times` times, one after another; `levels` of them."""
    found = relu("inner")
    for _ in range(levels):
        found["inbound_nodes"] = [call(("pixels", 0)), *(call(("inner", i)) for i in range(times - 1))]
        found = functional("inner", [pixels(), found], "inner", times - 1)
    return found


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def in_a_row(config: dict) -> None:
    config.update(class_name="Sequential", module="keras", registered_name=None, config={"name": "row", "layers": [
        pixels(), *({"module": "keras.layers", "class_name": "ReLU", "config": {"name": f"r{i}"},
                     "registered_name": None} for i in range(100))]})


def attention(config: dict) -> None:
    config["config"]["layers"] += [{"class_name": "MultiHeadAttention", "module": "keras.layers", "name": f"a{i}",
                                    "registered_name": None, "inbound_nodes": [call(("act", 0))],
                                    "config": {"name": f"a{i}", "num_heads": 1, "key_dim": 1}} for i in range(700)]


def network_in_a_call(config: dict) -> None:
    layer(config, "act")["inbound_nodes"][0]["kwargs"]["more"] = nested(3, 30)


def in_a_circle(config: dict) -> None:
    layer(config, "conv")["inbound_nodes"] = [call(("act", 0))]


def without_its_input(config: dict) -> None:
    layer(config, "conv")["inbound_nodes"] = [call(("nowhere", 0))]


def backwards() -> dict:
    found = chain(1_000)
    found["config"]["layers"].reverse()
    return found


def called(name: Any) -> Callable[[dict], None]:
    def change(config: dict) -> None:
        layer(config, "act")["config"]["name"] = name
    return change


def long_key(config: dict) -> None:
    layer(config, "act")["config"]["k" * 100_000] = 1


def sideless(config: dict) -> None:
    layer(config, "pixels")["config"]["batch_shape"] = [None, 1e300, -1, 3]


def no_table(config: dict) -> None:
    config["config"]["layers"] = {"act": 1}


GRAPHS: dict[str, tuple[Maker, str]] = {
    "five networks inside one another, twenty calls each": (
        with_graph(as_bytes(nested(5, 20))), "needs 3,536,841 layer calls"),
    "a chain of 12,000 layers": (with_graph(as_bytes(chain(12_000))), "more than 4,000 layers"),
    "a row of too many layers": (changed(in_a_row), "needs 20,604 layer calls"),
    "layers that make others": (changed(attention), "more than 4,000 layers"),
    "a network in a call": (changed(network_in_a_call), "needs 28,866 layer calls"),
    "layers in the wrong order": (with_graph(as_bytes(backwards())), "in 20,000 tries"),
    "a circle": (changed(in_a_circle), "can't be loaded"),
    "an input that is not there": (changed(without_its_input), "can't be loaded"),
    "lists in lists": (with_graph(b"[" * 100_000), "nested too deep"),
    "tables in tables": (with_graph(b'{"class_name": "Functional", "config": ' + b'{"a":' * 90 + b"1" + b"}" * 91),
                         "nested deeper than 60"),
    "millions of empty lists": (with_graph(
        b'{"class_name": "Functional", "config": {"a": [' + b"[]," * 2_600_000 + b"[]]}}"), "more than 500,000 values"),
    "a number of a million digits": (with_graph(b'{"class_name": "Functional", "config": ' + b"9" * 1_000_000 + b"}"),
                                     "invalid JSON"),
    "no JSON": (with_graph(b"\xff\xfe\x00"), "invalid JSON"),
    "a list": (with_graph(b"[]"), "its graph is a 'list'"),
    "no layers": (with_graph(as_bytes({"class_name": "Functional", "config": {}})), "can't be loaded"),
    "layers that are no list": (changed(no_table), "can't be loaded"),
    "a name of 100,000 characters": (changed(called("n" * 100_000)), "a text of 100,000 characters"),
    "a key of 100,000 characters": (changed(long_key), "a key of 100,000 characters"),
    "a name that is no text": (changed(called({"a": 1})), "is dict; expected a text"),
    "sides that are none": (changed(sideless), "can't be loaded"),
    "a path as a name": (changed(called("../../owned")), "can't be loaded"),
}


# ----------------------------------------------------------------------------------------------------
# archives


def crowded(good: Path, target: Path) -> Path:
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(target, "w") as new:
        for name in MEMBERS:
            new.writestr(name, archive.read(name))
        for i in range(5_000):
            new.writestr(f"assets/{i}", b"")
    return target


def endless_contents(good: Path, target: Path) -> Path:
    """A table of contents of nothing but one entry, again and again."""
    with zipfile.ZipFile(target, "w") as new:
        new.writestr("config.json", b"{}")
    content = target.read_bytes()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entries = content[start:end] * (1 + graph.MAX_BYTES // (end - start))
    rest = content[end : end + 12] + struct.pack("<LLH", len(entries), start, 0)
    target.write_bytes(content[:start] + entries + rest)
    return target


def twice(good: Path, target: Path) -> Path:
    rewritten(good, target)
    with warnings.catch_warnings(), zipfile.ZipFile(target, "a") as archive:
        warnings.simplefilter("ignore")  # zipfile's, of just that
        archive.writestr("config.json", b'{"class_name": "Lambda"}')
    return target


def linked(good: Path, target: Path) -> Path:
    """A member that unpackers would make a symbolic link to another file."""
    link = zipfile.ZipInfo("config.json")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(target, "w") as new:
        new.writestr(link, str(target.with_name("secret.json")))
        new.writestr("model.weights.h5", archive.read("model.weights.h5"))
    return target


def folder_inside(good: Path, target: Path) -> Path:
    return rewritten(good, target, more={"config.json/": b""})


def locked(good: Path, target: Path) -> Path:
    """Its members say that they are encrypted."""
    content = bytearray(rewritten(good, target).read_bytes())
    at = 0
    while (at := content.find(b"PK\x01\x02", at)) >= 0:
        content[at + 8] |= 1
        at += 4
    at = 0
    while (at := content.find(b"PK\x03\x04", at)) >= 0:
        content[at + 6] |= 1
        at += 4
    target.write_bytes(content)
    return target


def far_away(good: Path, target: Path) -> Path:
    """A member that lies behind the end of the file."""
    content = bytearray(rewritten(good, target).read_bytes())
    at = content.rindex(b"config.json") - 46  # its entry in the table of contents
    content[at + 42 : at + 46] = struct.pack("<L", 0xFFFFFFF0)
    target.write_bytes(content)
    return target


def noise(good: Path, target: Path) -> Path:
    target.write_bytes(np.random.default_rng(0).bytes(1 << 20) + b"PK\x05\x06" + bytes(18))
    return target


ARCHIVES: dict[str, tuple[Maker, str]] = {
    "thousands of members": (crowded, "'assets/0'"),
    "a table of contents of megabytes": (endless_contents, "not a complete .keras file"),
    "two graphs": (twice, "config.json twice"),
    "a symbolic link": (linked, "invalid JSON"),
    "a folder of a member's name": (folder_inside, "'config.json/'"),
    "encrypted members": (locked, "damaged"),
    "a member behind the end": (far_away, "damaged"),
    "noise": (noise, "has no config.json"),
}


# ----------------------------------------------------------------------------------------------------
# weights


def deep_groups(file: h5py.File) -> None:
    group = file["layers"]
    for _ in range(2_000):
        group = group.create_group("g")


def many_groups(file: h5py.File) -> None:
    for i in range(21_000):
        file.create_group(f"g{i}")


def many_attributes(file: h5py.File) -> None:
    group = file.create_group("g", track_order=True)
    for i in range(21_000):
        group.attrs[f"a{i}"] = 0


def named_type(file: h5py.File) -> None:
    file["type"] = np.dtype("f4")


def compound(file: h5py.File) -> None:
    file.create_dataset("pairs", data=np.zeros(3, [("a", "f4"), ("b", "f4")]))


def wide_attribute(file: h5py.File) -> None:
    space = h5py.h5s.create_simple((1 << 40,))
    file.attrs["small"] = 1
    with contextlib.suppress(OSError, ValueError, RuntimeError, MemoryError):  # HDF5 does not even write one
        h5py.h5a.create(file.id, b"wide", h5py.h5t.NATIVE_DOUBLE, space).write(np.zeros(1))
    file.create_dataset("wide", (1 << 62,), "f8", chunks=(1 << 20,))


WEIGHTS: dict[str, tuple[Maker, str]] = {
    "groups inside groups": (stored(deep_groups), "more than 60 deep"),
    "many groups": (stored(many_groups), "more than 20,000 objects"),
    "many attributes": (stored(many_attributes), "more than 20,000 objects"),
    "a type of its own": (stored(named_type), "expected a group or a dataset"),
    "pairs of numbers": (stored(compound), "expected numbers"),
    "a shape beyond all numbers": (stored(wide_attribute), "declare 36,893,488,147,419,103,"),
}

FILES = GRAPHS | ARCHIVES | WEIGHTS
