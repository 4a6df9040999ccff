"""Weights in HDF5: hostile ones are refused in one line, open no other file, take no memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from made_files import network, rewritten

from tenfold.errors import ModelFileError
from tenfold.foreign import hdf5
from tenfold.foreign.load import load_model, load_weights

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
    shape_bomb: "its datasets declare 1,073,741,888 bytes but store 64", texts: "expected numbers",
    declared_bomb: "its datasets declare 4,611,686,018,427,387,968 bytes; expected at most 4,294,967,296",
    packed_bomb: r"is compressed \(filter 1\)", packed_little: r"is compressed \(filter 1\)",
    plug_in: r"is compressed \(filter 32015\)", references: "expected text or numbers", cycle: "more than once",
    long_text: "bytes outside datasets", place_of_two_lines: r"'/evil\\nplace' is a soft link",
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
    """All texts of the list may share one long text, so they could unpack to far more than the file."""
    with h5py.File(tmp_path / "names.weights.h5", "w") as file:
        file.attrs["layer_names"] = [f"layer {i}" for i in range(1000)]
    hdf5.check(tmp_path / "names.weights.h5", 1 << 30)
    with pytest.raises(ModelFileError, match="up to 1,000 texts of one attribute may use them"):
        hdf5.check(tmp_path / "names.weights.h5", 1 << 20)


def test_weights_load_from_each_file_format(good: Path, tmp_path: Path) -> None:
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
    with pytest.raises(ModelFileError, match=r"^[^\n]*its weights do not fit the model 'wide': [^\n]*$"):
        load_weights(network(8, "wide"), good)
