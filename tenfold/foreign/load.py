"""Loads Keras models from untrusted files: checks the file, measures the model without memory, then loads it."""

from __future__ import annotations

import contextlib
import math
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tenfold.backend import computing_shapes, keras
from tenfold.errors import ModelFileError, first_line
from tenfold.foreign import archive, custom, hdf5, model_copy, weights_copy

BATCH = 100  # images in a batch for a backbone
MAX_OUTPUT = 1 << 31  # values in a layer's output for one batch
TOLERANCE = 1 << 16  # values in layers that are not weights, such as the states of random generators
MAX_TRIES = 20_000  # to call a layer: Keras repeats its pass over a graph until every layer has its inputs
DEFAULT_SIDE = 224  # pixels, if the graph does not fix the image size


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """A context in which Keras builds models on PyTorch's meta device: shapes and dtypes, no values.

    If tracing a layer fails there, Keras does not retry with real tensors, as it normally would. Random numbers are
    not drawn: PyTorch imports its compiler, which takes a second, to find the shape of their sums.
    """
    from keras.src.backend.torch import core, random  # after `backend` has selected PyTorch

    def undrawn(shape: Any, *_: Any, dtype: Any = None, **__: Any) -> Any:
        return torch.empty(tuple(shape), dtype=core.to_torch_dtype(dtype or keras.config.floatx()), device="meta")

    before = core.DEFAULT_DEVICE
    drawing = {name: getattr(random, name) for name in ("uniform", "normal", "truncated_normal")}
    core.DEFAULT_DEVICE = "meta"
    vars(random).update(dict.fromkeys(drawing, undrawn))
    try:
        with keras.device("meta"), computing_shapes():
            yield
    finally:
        core.DEFAULT_DEVICE = before
        vars(random).update(drawing)


def load_model(path: str | Path) -> keras.Model:
    """The model in a `.keras` or whole-model `.h5` file, without its optimizer.

    Raises ModelFileError if the file is refused or damaged, or its parts do not fit together.
    """
    with model_copy(path, custom.known()) as copy:
        _sketch(path, copy)
        return _load(path, copy)


def sketch_model(path: str | Path) -> keras.Model:
    """The same model without weight values: its graph, shapes and dtypes. Raises the errors of `load_model`.

    A model with classes of the user's own has values: they may compute what needs them.
    """
    with model_copy(path, custom.known()) as copy:
        return _sketch(path, copy)


def load_weights(model: keras.Model, path: str | Path) -> None:
    """Load the weights of a `.weights.h5`, `.h5` or `.keras` file into a model with the same layers.

    Raises ModelFileError if the file is refused or its weights do not fit the model.
    """
    with weights_copy(path) as copy:
        # Keras chooses between its two layouts by the file name.
        legacy = not copy.name.endswith(".weights.h5") and not _is_current(copy)
        named = copy if legacy else copy.rename(copy.with_name("checked.weights.h5"))
        try:
            with warnings.catch_warnings():  # Keras only warns if it skips weights
                warnings.simplefilter("error")
                model.load_weights(named)
        except (ValueError, KeyError, TypeError, OSError, AttributeError, Warning) as error:
            raise ModelFileError(f"{path}: its weights do not fit the model {model.name!r}: "
                                 f"{first_line(error).partition('. ')[0]}") from None


def inside(model: keras.Model) -> Any:
    """The model itself, or the functional model inside a Sequential model."""
    return model._functional if isinstance(model, keras.Sequential) else model


def is_graph(operation: Any) -> bool:
    """Whether a layer is a functional or Sequential model, whose layers can be called one by one."""
    has_layers = isinstance(operation, keras.Sequential) or hasattr(operation, "_run_through_graph")
    return has_layers and custom.is_known(type(operation).call)


def _sketch(path: str | Path, copy: Path) -> keras.Model:
    if custom.used_in(copy):
        return _load(path, copy)
    with without_memory(), _limited_tries(path), limited_weights(path, _count_stored(copy)):
        sketch = _load(path, copy)
    with _model_file_errors(path), without_memory():
        _check_outputs(path, sketch)
    return sketch


def _load(path: str | Path, copy: Path) -> keras.Model:
    with _model_file_errors(path):
        model = keras.saving.load_model(copy, custom_objects=custom.known(), compile=False, safe_mode=True)
        custom.name(model, copy)
        if inside(model) is None:
            raise ModelFileError(f"{path}: the Sequential model was never built; start it with "
                                 "keras.Input((height, width, channels)) and save it again")
        return keras.Model(model.inputs, model.outputs, name=model.name) if inside(model) is not model else model


@contextlib.contextmanager
def _model_file_errors(path: str | Path) -> Iterator[None]:
    """Turn every error into a ModelFileError, because Keras may raise any error for an inconsistent graph."""
    try:
        yield
    except ModelFileError:
        raise
    except Exception as error:
        raise ModelFileError(f"{path}: can't be loaded as a Keras model: {first_line(error)}") from None


@contextlib.contextmanager
def _limited_tries(path: str | Path) -> Iterator[None]:
    """Refuse a graph that lists its layers in an order for which Keras would search their inputs too long."""
    from keras.src.models import functional  # after `backend` has selected PyTorch

    tries, before = 0, functional.deserialize_node

    def counting(*arguments: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries > MAX_TRIES:
            raise RuntimeError
        return before(*arguments)

    functional.deserialize_node = counting
    try:
        yield
    finally:
        functional.deserialize_node = before
        if tries > MAX_TRIES:
            raise ModelFileError(f"{path}: refused: Keras found no order for its layers in {MAX_TRIES:,} tries")


@contextlib.contextmanager
def limited_weights(path: str | Path, stored: int) -> Iterator[None]:
    """Refuse a model whose variables have more values than the file stores, before they take memory."""
    from keras.src.backend.torch import core  # after `backend` has selected PyTorch

    declared = 0
    before = core.Variable.__init__

    def counting(variable: Any, initializer: Any, shape: Any = None, *arguments: Any, **options: Any) -> None:
        nonlocal declared
        declared += math.prod(shape if shape is not None else getattr(initializer, "shape", ()))
        if declared > stored + TOLERANCE:
            raise RuntimeError
        before(variable, initializer, shape, *arguments, **options)

    core.Variable.__init__ = counting
    try:
        yield
    finally:
        core.Variable.__init__ = before
        if declared > stored + TOLERANCE:
            raise ModelFileError(f"{path}: refused: its layers declare {declared:,} weights or more but it stores "
                                 f"{stored:,}")


def _count_stored(copy: Path) -> int:
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
    """Whether a file has the weights layout of Keras 3. The legacy layout lists the layers in an attribute."""
    import h5py

    with h5py.File(path, "r") as file:
        return "layer_names" not in file.attrs and "model_weights" not in file


def _check_outputs(path: str | Path, sketch: keras.Model) -> None:
    """Refuse a model if its input or the output of a layer is too large for memory."""
    if len(sketch.inputs) != 1 or len(sketch.inputs[0].shape) != 4:
        raise ModelFileError(f"{path}: its inputs are {[tuple(x.shape) for x in sketch.inputs]}; expected one input of "
                             "images [n, height, width, channels]")

    def check_size(result: Any, name: str) -> Any:
        for tensor in keras.tree.flatten(result):
            size = math.prod(BATCH if side is None else side for side in tensor.shape)
            if size > MAX_OUTPUT:
                raise ModelFileError(f"{path}: refused: {name!r} outputs {size:,} values for {BATCH} images; "
                                     f"expected at most {MAX_OUTPUT:,}")
        return result

    def checked(operation: Any) -> Any:
        if is_graph(operation):
            return lambda x, **_: inside(operation)._run_through_graph(x, operation_fn=checked)
        return lambda *arguments, **options: check_size(operation(*arguments, **options), operation.name)

    shape = [BATCH, *(DEFAULT_SIDE if side is None else side for side in sketch.inputs[0].shape[1:])]
    x = check_size(keras.KerasTensor(shape, dtype="float32"), sketch.inputs[0].name)
    sketch._run_through_graph(x, operation_fn=checked)
