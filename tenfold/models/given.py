"""Keras models given in Python, written down as a file that recipes can name.

Subclassed models, Lambda layers and layers that combine others are written down as the Keras layers and operations
that they call, where these compute the same: they are then fast, and the file needs no class of the user's own. Layers
that are more than that stay as they are.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.backend import keras
from tenfold.data.location import model_root
from tenfold.errors import ModelFileError, UsageError, first_line
from tenfold.foreign import custom
from tenfold.foreign.load import inside, is_graph, load_model
from tenfold.models import classifier, compiled
from tenfold.storage.files import write_whole

ADVICE = "set TENFOLD_CACHE to another directory"
LEAST = 1e-7  # probability, as in Keras' cross-entropy
BATCH = 2  # images for which a layer and what it calls must agree
METHODS = ("train_step", "compute_loss", "fit")  # of a class of one's own, which would not be used

Shape = tuple[int, int, int]


def settings(model: keras.Model, shape: Shape | None = None) -> tuple[dict[str, Any], list[str]]:
    """(values of a recipe by key, sentences about the model and what of it is not used).

    The model is written to the cache with its weights, but not its optimizer; the name of the file is its content. An
    unbuilt model is built for images of `shape` (height, width, channels). Raises UsageError or ModelFileError for an
    unsuitable model, StorageError.
    """
    own = [name for name in METHODS if not custom.is_known(getattr(type(model), name))]
    if own:
        raise UsageError(f"the Keras model has a {own[0]} of its own ({type(model).__name__}), which Tenfold's engine "
                         "would not call; expected a model without one, or a recipe with the settings that it makes")
    from_logits = compiled.returns_logits(model)
    _build(model, shape)
    notes: list[str] = []
    with _Written() as written:
        plain = _ended(written.graph(model, shape), from_logits, notes)
        written.number(plain)
        values, more = compiled.settings(model, plain)
        own_layers = [each for each in plain._flatten_layers(include_self=False) if not custom.is_known(each)]
        custom.remember(plain._flatten_layers(include_self=False))
        values |= {"model.name": "keras", "model.file": str(_write(plain, model))}
    if own_layers:
        names = ", ".join(dict.fromkeys(type(each).__name__ for each in own_layers))
        notes.append(f"{names}: slower than Keras' own layers; model.keras is opened where a file registers "
                     "them with keras.saving.register_keras_serializable (tenfold --plugin FILE.py)")
    return values, [*more, *notes]


def _build(model: Any, shape: Shape | None) -> None:
    """Build a model that has no weights yet, as `fit` would. Raises UsageError."""
    if model.built and getattr(inside(model), "inputs", None):
        return
    if shape is None and not model.built:
        raise UsageError("the Keras model has no input shape yet; expected one that begins with keras.Input((height, "
                         "width, channels)), or that was called on images")
    if not model.built or isinstance(model, keras.Sequential):
        try:
            model(np.zeros((1, *(shape or ())), np.float32), training=False)
        except Exception as error:
            raise UsageError(f"the Keras model can't be built for images of shape {list(shape or ())}: "
                             f"{first_line(error)}; expected a model that takes [n, height, width, channels]") from None


def _write(plain: keras.Model, model: keras.Model) -> Path:
    """Write a graph, unless it is in the cache. Raises ModelFileError if it can't be loaded again, StorageError."""
    lambdas = [layer.name for layer in plain.layers if isinstance(layer, keras.layers.Lambda)]
    if lambdas:
        raise UsageError(f"the Lambda layer {lambdas[0]} can't be written down as operations of Keras; expected a "
                         "function that computes with keras.ops, or a layer class of your own with get_config")
    try:
        config = plain.to_json()
    except Exception as error:
        raise UsageError(f"the Keras model {model.name} can't be written down: {first_line(error)}; expected a "
                         "get_config of each class of your own that returns the arguments of its constructor") from None
    digest = hashlib.sha256(config.encode())
    for weight in plain.get_weights():
        digest.update(weight.tobytes())
    path = model_root() / f"{digest.hexdigest()[:16]}.keras"
    if not path.is_file():
        write_whole(path, plain.save, ADVICE)
    try:
        classifier.parts(load_model(path), model.name)
    except ModelFileError:
        path.unlink(missing_ok=True)
        raise
    return path


# ----------------------------------------------------------------------------------------------------
# the end of a model


def _ended(plain: keras.Model, from_logits: bool, notes: list[str]) -> keras.Model:
    """The graph with an end that a classifier has. Raises ModelFileError for an output that has no classes."""
    with contextlib.suppress(ModelFileError):
        classifier.parts(plain, plain.name)
        return plain
    output = plain.outputs[0]
    if len(plain.outputs) != 1 or len(output.shape) != 2 or (output.shape[1] or 0) < 2 or _is_dense(output):
        classifier.parts(plain, plain.name)  # raises
    given = "logits" if from_logits else _looks_like(plain)
    notes.append(f"the outputs of the model are read as {given}")
    if given == "probabilities":
        output = keras.ops.log(keras.ops.maximum(output, LEAST))
    return keras.Model(plain.inputs, keras.layers.Softmax(name="softmax_of_outputs")(output), name=plain.name)


def _is_dense(output: Any) -> bool:
    return isinstance(output._keras_history.operation, keras.layers.Dense)


def _looks_like(plain: keras.Model) -> str:
    """What the outputs of a model are, by those for random images."""
    outputs = _outputs(plain, _random(plain.inputs[0].shape))
    is_distribution = (outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1, atol=1e-3)
    return "probabilities" if is_distribution else "logits"


def _random(shape: Any) -> np.ndarray:
    return np.random.default_rng(0).random([BATCH, *shape[1:]], np.float32)


def _outputs(operation: Callable[..., Any], x: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(operation(keras.ops.convert_to_tensor(x))))


# ----------------------------------------------------------------------------------------------------
# layers as what they call


class _Written:
    """Writes layers down as the layers and operations that they call; a context that restores their names."""

    def __init__(self) -> None:
        self.traced: dict[int, keras.Model | None] = {}
        self.owner: dict[str, Any] = {}  # of each name in the graph
        self.renamed: list[tuple[Any, str]] = []

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_: object) -> None:
        for operation, name in self.renamed:
            operation.name = name

    def graph(self, model: Any, shape: Shape | None) -> keras.Model:
        """The graph of a model from images to its outputs. Raises ModelFileError for other inputs than images."""
        inner = inside(model) if is_graph(model) else None
        if inner is not None and len(inner.inputs) != 1:
            raise ModelFileError(f"the Keras model takes {len(inner.inputs)} inputs; expected one: images [n, height, "
                                 "width, channels]")
        inputs = keras.Input(tuple(inner.inputs[0].shape[1:]) if inner is not None else self._shape(model, shape),
                             name="images")
        try:
            return keras.Model(inputs, self(model)(inputs), name=model.name)
        except Exception as error:  # whatever code of the user's own raises on a symbolic tensor
            raise UsageError(f"the Keras model {model.name} can't be written down: {first_line(error)}; expected "
                             "layers that Keras can call on symbolic tensors") from None

    def number(self, graph: keras.Model) -> None:
        """Name operations by their place in a graph, so that the same model gives the same file."""
        for place, operation in enumerate(graph.operations):
            if not isinstance(operation, keras.layers.Layer):
                self.renamed.append((operation, operation.name))
                operation.name = f"{type(operation).__name__.lower()}_{place}_operation"

    def _shape(self, model: Any, shape: Shape | None) -> Shape:
        """The shape of the images that a built model without a graph takes."""
        built = getattr(model, "_build_shapes_dict", None) or {}
        known = next((tuple(each)[1:] for each in built.values() if isinstance(each, tuple | list)), None)
        found = known if known and None not in known else shape
        if found is None or len(found) != 3:
            raise UsageError("the Keras model does not tell its input shape; expected one that was built for images: "
                             "model.build((None, height, width, channels))")
        return found

    def __call__(self, operation: Any) -> Callable[..., Any]:
        """What to call on symbolic tensors in place of an operation."""
        if is_graph(operation):
            return lambda x, **_: inside(operation)._run_through_graph(x, operation_fn=self)
        if not isinstance(operation, keras.layers.Layer):
            return operation
        if custom.is_known(operation) and not isinstance(operation, keras.layers.Lambda):
            return self._named(operation)

        def call(*given: Any, **options: Any) -> Any:
            options = {key: value for key, value in options.items() if value is not None}
            if len(given) != 1 or set(options) - {"training"} or not isinstance(given[0], keras.KerasTensor):
                return self._named(operation)(*given, **options)
            if id(operation) not in self.traced:
                self.traced[id(operation)] = _traced(operation, given[0])
            found = self.traced[id(operation)]
            if found is None:
                return self._named(operation)(*given, **options)
            return found._run_through_graph(given[0], operation_fn=self)

        return call

    def _named(self, layer: Any) -> Any:
        """The layer, with a name that no other layer of the graph has."""
        name, number = layer.name, 1
        while self.owner.setdefault(layer.name, layer) is not layer:
            if number == 1:
                self.renamed.append((layer, name))
            layer.name = f"{name}_{number}"
            number += 1
        return layer


def _traced(layer: Any, x: Any) -> keras.Model | None:
    """The graph of what a layer calls, or None if it is not only that: if something else is computed, or if training
    differs in more than the layers that it calls.
    """
    graphs, steps = [], []
    try:
        for training in (False, True):
            inputs = keras.Input(batch_shape=x.shape, dtype=x.dtype)
            options = {"training": training} if layer._call_has_training_arg else {}
            graphs.append(keras.Model(inputs, layer.call(inputs, **options)))
            steps.append(_steps(graphs[-1]))
        complete = not layer._losses and steps[0] == steps[1] and _holds_all_of(graphs[0], layer)
        sample = _random(x.shape)
        agrees = complete and np.allclose(_outputs(graphs[0], sample), _outputs(layer, sample), atol=1e-5)
    except Exception:  # whatever code of the user's own raises on a symbolic tensor
        return None
    finally:
        layer._losses.clear()
    return graphs[0] if agrees else None


def _nodes(graph: keras.Model) -> list[Any]:
    """The calls of a graph, in order."""
    return [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]


def _arguments(node: Any) -> list[Any]:
    """What a call is given, except whether it is for training."""
    given = {key: value for key, value in node.arguments.kwargs.items() if key != "training"}
    return keras.tree.flatten([node.arguments.args, given])


def _steps(graph: keras.Model) -> list[Any]:
    """What a graph computes, without the names of its operations: comparable with that of another pass."""
    nodes = _nodes(graph)
    number = {id(node.operation): i for i, node in enumerate(nodes)}

    def said(operation: Any) -> Any:
        if isinstance(operation, keras.layers.Layer):
            return "input" if isinstance(operation, keras.layers.InputLayer) else id(operation)
        return type(operation).__name__, {key: str(v) for key, v in operation.get_config().items() if key != "name"}

    return [(said(node.operation), [number.get(id(value._keras_history.operation)) if isinstance(
        value, keras.KerasTensor) else str(value) for value in _arguments(node)]) for node in nodes]


def _holds_all_of(graph: keras.Model, layer: Any) -> bool:
    """Whether a graph has all variables of a layer, in its layers: none is a plain argument of an operation."""
    held = {id(variable) for variable in graph.weights}
    return {id(variable) for variable in layer.weights} <= held and not any(
        isinstance(value, keras.Variable) for node in _nodes(graph) for value in _arguments(node))
