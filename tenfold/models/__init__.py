"""Models: functions registered in `MODELS`, each building a network from a given set of layers."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import UsageError
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import ModelSection
from tenfold.registry import MODELS

if TYPE_CHECKING:
    import keras

SMALLEST = 8  # pixels per side


def build(
    section: ModelSection, shape: tuple[int, int, int], classes: int, *, fast: bool = False, dtype: str = "float32"
) -> keras.Model:
    """Build the network of a recipe's `[model]` section with initial weights.

    `shape` is (height, width, channels) of the images; the network takes raw pixels 0–255. The fast network maps
    float [n, channels, height, width] to logits [n, classes]. The plain network maps [n, height, width, channels] to
    probabilities and has the same weights in the same order. Raises UsageError for images smaller than 8×8.
    """
    from tenfold.models import in_place
    from tenfold.models.layers import Layers, keras

    if min(shape[:2]) < SMALLEST and section.image_size is None:
        raise UsageError(f"images: received {shape[0]}×{shape[1]} pixels; expected at least {SMALLEST}×{SMALLEST}: "
                         "set model.image_size=32, for example")
    layers = Layers(fast, dtype)
    inputs = x = layers.input(shape)
    if section.image_size is not None and shape[:2] != (section.image_size, section.image_size):
        x = layers.resize(section.image_size)(x)
    if section.name not in MODELS:
        raise UsageError(f"model {section.name!r} is registered in a file of your own; expected that file: "
                         "tenfold --plugin FILE.py, or import it first")
    draw = MODELS.get(section.name)
    if not getattr(draw, "takes_pixels", False):
        x = layers.rescale()(x)
    x = draw(layers, x, **section.options)
    outputs: Any = layers.logits(classes)(x)
    if not fast:
        outputs = keras.layers.Softmax(name="probabilities")(outputs)
    model = keras.Model(inputs, outputs, name=section.name)
    if fast:
        in_place.allow(model)
        # training may use images of other sizes if the layers accept them
        model.input_spec = keras.layers.InputSpec(ndim=4)
    return model


def twin(section: ModelSection | None, plain: keras.Model) -> keras.Model:
    """The fast float32 network with the weights of a plain one from `build`.

    A network with a pretrained backbone, a Keras model of one's own or a model that is not registered here is rebuilt
    from its own graph, so it needs no other file. Without a section every network is rebuilt that way: it gives the
    same numbers, but some layers are slower.
    """
    if section is None or section.name in ("pretrained", "keras") or section.name not in MODELS:
        from tenfold.models import backbone

        return backbone.rebuild(plain)
    fast = build(section, plain.input_shape[1:], plain.output_shape[-1], fast=True)
    fast.set_weights(plain.get_weights())
    return fast


def check_build(section: ModelSection, shape: tuple[int, int, int], classes: int) -> None:
    """Raise a TenfoldError if a network with a pretrained backbone can't be built or its weights are unavailable.

    Allocates no memory for weights and downloads nothing. Other networks accept every image size and need no check.
    """
    if section.name == "keras":
        from tenfold.models import classifier

        classifier.check(section, classes)
    if section.name in ("pretrained", "keras"):
        origin(section)
        build_without_memory(section, shape, classes)


def build_without_memory(section: ModelSection, shape: tuple[int, int, int], classes: int) -> keras.Model:
    """The plain network from `build`, without memory for weights unless it has layers of the user's own.

    The same one is built only once.
    """
    return _built_without_memory(section.model_dump_json(), shape, classes)


@lru_cache(maxsize=1)
def _built_without_memory(section: str, shape: tuple[int, int, int], classes: int) -> keras.Model:
    from tenfold.foreign.load import without_memory

    read = ModelSection.model_validate_json(section)
    with contextlib.nullcontext() if has_own_layers(read) else without_memory():
        return build(read, shape, classes)


def has_own_layers(section: ModelSection) -> bool:
    """Whether a network has layers of the user's own, which may compute what needs memory."""
    from tenfold.foreign.custom import used_in

    return section.name == "keras" and bool(used_in(Path(section.options["file"]).expanduser()))


def obtain(section: ModelSection, watcher: Watcher = SILENT) -> None:
    """Download the published weights of a pretrained backbone unless they are in the cache. Raises FetchError."""
    if section.name == "pretrained":
        from tenfold.models import weights

        weights.obtain(section, watcher)


def origin(section: ModelSection) -> dict[str, Any]:
    """The source of a network's initial weights for `environment.json`; empty for random weights."""
    if section.name == "keras":
        from tenfold.foreign import sha256_of

        path = Path(section.options["file"]).expanduser()
        return {"keras": {"file": str(path), "sha256": sha256_of(path)}}
    if section.name != "pretrained":
        return {}
    from tenfold.models import weights

    return {"pretrained": weights.origin(section)}
