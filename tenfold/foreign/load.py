"""Keras models from files of others: checked, measured without using memory, then loaded."""

from __future__ import annotations

import contextlib
import math
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tenfold.backend import keras
from tenfold.errors import ModelFileError, first_line
from tenfold.foreign import archive, hdf5, model_copy, weights_copy

BATCH = 100  # images that a backbone is shown at a time
LARGEST_OUTPUT = 1 << 31  # numbers that one layer may give for such a batch
SLACK = 1 << 16  # numbers that layers may hold beside the weights of a file: states of generators, say
TRIES = 20_000  # to call a layer: Keras goes through a graph again until all inputs of each are there
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
            raise ModelFileError(f"{path}: its weights are not those of {model.name!r}: "
                                 f"{first_line(error).partition('. ')[0]}") from None


def inside(model: keras.Model) -> Any:
    """The graph of a network: what a Sequential is inside, else itself."""
    return model._functional if isinstance(model, keras.Sequential) else model


def _sketch(path: str | Path, copy: Path) -> keras.Model:
    with without_memory(), _in_order(path), _borne_out(path, _stored(copy)):
        sketch = _load(path, copy)
    with _one_line(path), without_memory():
        _check_outputs(path, sketch)
    return sketch


def _load(path: str | Path, copy: Path) -> keras.Model:
    with _one_line(path):
        model = keras.saving.load_model(copy, compile=False, safe_mode=True)
        if inside(model) is None:
            raise ModelFileError(f"{path}: is a Sequential model that was never built; begin it with "
                                 "keras.Input((height, width, channels)) and save it again")
        return keras.Model(model.inputs, model.outputs, name=model.name) if inside(model) is not model else model


@contextlib.contextmanager
def _one_line(path: str | Path) -> Iterator[None]:
    """Keras raises whatever a graph that does not fit together runs into: a ModelFileError."""
    try:
        yield
    except ModelFileError:
        raise
    except Exception as error:
        raise ModelFileError(f"{path}: can't be loaded as a Keras model: {first_line(error)}") from None


@contextlib.contextmanager
def _in_order(path: str | Path) -> Iterator[None]:
    """Refuse a graph whose layers are listed so that Keras would look for their inputs without end."""
    from keras.src.models import functional  # only once `backend` has chosen PyTorch

    tries, before = 0, functional.deserialize_node

    def counting(*arguments: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries > TRIES:
            raise RuntimeError
        return before(*arguments)

    functional.deserialize_node = counting
    try:
        yield
    finally:
        functional.deserialize_node = before
        if tries > TRIES:
            raise ModelFileError(f"{path}: refused: after {TRIES:,} tries Keras has not found an order for its layers")


@contextlib.contextmanager
def _borne_out(path: str | Path, stored: int) -> Iterator[None]:
    """Refuse more numbers than a file stores in the variables made within it, of the network or beside it."""
    from keras.src.backend.torch import core  # only once `backend` has chosen PyTorch

    made: list[int] = []
    before = core.Variable.__init__

    def counting(variable: Any, *arguments: Any, **options: Any) -> None:
        before(variable, *arguments, **options)
        made.append(math.prod(variable.shape))

    core.Variable.__init__ = counting
    try:
        yield
    finally:
        core.Variable.__init__ = before
        if sum(made) > stored + SLACK:
            raise ModelFileError(f"{path}: refused: its layers declare {sum(made):,} weights and it holds {stored:,}")


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
    """Refuse a network whose input, or the output of a layer, is too large for memory."""
    if len(sketch.inputs) != 1 or len(sketch.inputs[0].shape) != 4:
        raise ModelFileError(f"{path}: takes {[tuple(x.shape) for x in sketch.inputs]}; expected one input of images "
                             "[n, height, width, channels]")

    def bounded(result: Any, name: str) -> Any:
        for tensor in keras.tree.flatten(result):
            numbers = math.prod(BATCH if side is None else side for side in tensor.shape)
            if numbers > LARGEST_OUTPUT:
                raise ModelFileError(f"{path}: refused: {name!r} gives {numbers:,} numbers for {BATCH} images; at most "
                                     f"{LARGEST_OUTPUT:,} are taken")
        return result

    def watched(operation: Any) -> Any:
        if isinstance(operation, keras.Model):
            return lambda x, **_: inside(operation)._run_through_graph(x, operation_fn=watched)
        return lambda *arguments, **options: bounded(operation(*arguments, **options), operation.name)

    shape = [BATCH, *(PROBE if side is None else side for side in sketch.inputs[0].shape[1:])]
    x = bounded(keras.KerasTensor(shape, dtype="float32"), sketch.inputs[0].name)
    sketch._run_through_graph(x, operation_fn=watched)
