"""HDF5: the Keras format for older programs, its facts in the attribute `tenfold`."""

from __future__ import annotations

import json
from pathlib import Path

from tenfold import modelfile
from tenfold.export.formats import Format
from tenfold.export.formats import keras as keras_format
from tenfold.export.source import Source
from tenfold.registry import FORMATS
from tenfold.runtimes.exported import KEY


def write(source: Source, path: Path) -> None:
    import h5py

    modelfile.save_h5(source.whole)(path)
    with h5py.File(path, "r+") as file:
        file.attrs[KEY] = json.dumps(source.facts)


FORMATS.add("h5")(Format(".h5", write, keras_format.read))
