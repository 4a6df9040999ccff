"""[E] Keras models from files of elsewhere: looked through, sized without memory, then loaded."""

from __future__ import annotations

import contextlib
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tenfold.backend import keras
from tenfold.errors import ModelFileError
from tenfold.foreign import archive, hdf5, model_copy, weights_copy

LARGEST_OUTPUT = 1 << 28  # numbers that one layer may give for one image
PROBE = 224  # pixels a side, where the graph leaves the size open


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Within it, Keras builds networks on PyTorch's meta device: shapes and dtypes, no values.

    Where tracing a layer on that device fails, Keras would try again with real tensors; not in here.
    """
    from keras.src.backend.torch import core  # only once `backend` has chosen PyTorch

    before = core.DEFAULT_DEVICE
    core.DEFAULT_DEVICE = "meta"
    try:
        with keras.device("meta"):
            yield
    finally:
        core.DEFAULT_DEVICE = before


def load_model(path: str | Path) -> keras.Model:
    """The model in a `.keras` or whole-model `.h5` file, without its optimizer, in inference use.

    Raises ModelFileError if anything in it is refused, is damaged, or does not fit together.
    """
    with model_copy(path) as copy:
        _sketch(path, copy)
        return _load(path, copy)


def sketch_model(path: str | Path) -> keras.Model:
    """The same model without values: its graph, shapes and dtypes. Raises ModelFileError as `load_model` does."""
    with model_copy(path) as copy:
        return _sketch(path, copy)


def load_weights(model: keras.Model, path: str | Path) -> None:
    """Put the weights of a `.weights.h5`, `.h5` or `.keras` file into a model of the same layers.

    Raises ModelFileError if the file is refused or its weights are not the model's.
    """
    with weights_copy(path) as copy:
        # Keras tells its two layouts apart by the file's name.
        legacy = not copy.name.endswith(".weights.h5") and not _is_current(copy)
        named = copy if legacy else copy.rename(copy.with_name("checked.weights.h5"))
        try:
            with warnings.catch_warnings():  # Keras only warns of weights that it leaves as they were
                warnings.simplefilter("error")
                model.load_weights(named)
        except (ValueError, KeyError, TypeError, OSError, AttributeError, Warning) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise ModelFileError(f"{path}: its weights are not those of {model.name}: {reason}") from None


def _sketch(path: str | Path, copy: Path) -> keras.Model:
    with without_memory():
        sketch = _load(path, copy)
    declared, stored = sketch.count_params(), _stored(copy)
    if declared > stored:
        raise ModelFileError(f"{path}: refused: its layers declare {declared:,} weights and it holds {stored:,}")
    _check_outputs(path, sketch)
    return sketch


def _load(path: str | Path, copy: Path) -> keras.Model:
    try:
        return keras.saving.load_model(copy, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a graph that does not fit together runs into
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelFileError(f"{path}: can't be loaded as a Keras model: {first}") from None


def _stored(copy: Path) -> int:
    if copy.suffix != ".keras":
        return hdf5.count(copy)
    with zipfile.ZipFile(copy) as checked, checked.open(archive.WEIGHTS) as packed:
        path = copy.with_name("counted.h5")
        path.write_bytes(packed.read())
    try:
        return hdf5.count(path)
    finally:
        path.unlink()


def _is_current(path: Path) -> bool:
    """Whether a file has Keras 3's layout of weights (its legacy layout names the layers in an attribute)."""
    import h5py

    with h5py.File(path, "r") as file:
        return "layer_names" not in file.attrs and "model_weights" not in file


def _check_outputs(path: str | Path, sketch: keras.Model) -> None:
    """Refuse a network that gives more numbers at a layer than memory should be asked for."""
    if len(sketch.inputs) != 1 or len(sketch.inputs[0].shape) != 4:
        raise ModelFileError(f"{path}: takes {[tuple(x.shape) for x in sketch.inputs]}; expected one input of images "
                             "[n, height, width, channels]")
    shape = [1, *(PROBE if side is None else side for side in sketch.inputs[0].shape[1:])]
    largest = 0

    def outputs(operation: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal largest
        result = operation(*arguments, **options)
        for tensor in keras.tree.flatten(result):
            numbers = 1
            for side in tensor.shape:
                numbers *= side or 1
            largest = max(largest, numbers)
            if largest > LARGEST_OUTPUT:
                raise ModelFileError(f"{path}: refused: {operation.name} gives {numbers:,} numbers for one image; "
                                     f"at most {LARGEST_OUTPUT:,} are taken")
        return result

    with without_memory():
        x = keras.KerasTensor(shape, dtype="float32")
        sketch._run_through_graph(x, call_fn=lambda layer, *a, **k: outputs(layer, *a, **k))
