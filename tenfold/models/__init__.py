"""Models: functions registered in `MODELS` that draw a network with the layers they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenfold.errors import UsageError
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import ModelSection
from tenfold.registry import MODELS

if TYPE_CHECKING:
    import keras

SMALLEST = 8


def build(
    section: ModelSection, shape: tuple[int, int, int], classes: int, *, fast: bool = False, dtype: str = "float32"
) -> keras.Model:
    """Build the network of a recipe's `[model]` section, with fresh weights.

    `shape` is (height, width, channels) of the images, which come as raw pixels 0–255. The fast
    network takes float [n, channels, height, width] and gives logits [n, classes]; the plain one takes
    [n, height, width, channels], gives probabilities, and has the same weights in the same order.
    Raises UsageError for images below 8×8.
    """
    from tenfold.models.layers import Layers, keras

    if min(shape[:2]) < SMALLEST and section.image_size is None:
        raise UsageError(f"images are {shape[0]}×{shape[1]} pixels; models take {SMALLEST}×{SMALLEST} and up: "
                         "set model.image_size=32, say")
    layers = Layers(fast, dtype)
    inputs = x = layers.input(shape)
    if section.image_size is not None and shape[:2] != (section.image_size, section.image_size):
        x = layers.resize(section.image_size)(x)
    draw = MODELS.get(section.name)
    if not getattr(draw, "takes_pixels", False):
        x = layers.rescale()(x)
    x = draw(layers, x, **section.options)
    outputs: Any = layers.logits(classes)(x)
    if not fast:
        outputs = keras.layers.Softmax(name="probabilities")(outputs)
    model = keras.Model(inputs, outputs, name=section.name)
    if fast:  # training may show it images of other sizes, where its layers allow that
        model.input_spec = keras.layers.InputSpec(ndim=4)
    return model


def twin(section: ModelSection | None, plain: keras.Model) -> keras.Model:
    """The fast float32 network of a plain one that `build` made, with its weights.

    A network on a backbone is drawn from its own graph: the backbone's file need not be there any more. Without a
    section every network is: the same numbers, some layers slower.
    """
    if section is None or section.name == "pretrained":
        from tenfold.models import backbone

        return backbone.redrawn(plain)
    fast = build(section, plain.input_shape[1:], plain.output_shape[-1], fast=True)
    fast.set_weights(plain.get_weights())
    return fast


def check_build(section: ModelSection, shape: tuple[int, int, int], classes: int) -> None:
    """Raise a TenfoldError if a network on a pretrained backbone can't be built or its weights can't be had.

    Takes no memory and downloads nothing. Other networks take every image.
    """
    if section.name == "pretrained":
        from tenfold.foreign.load import without_memory

        origin(section)
        with without_memory():
            build(section, shape, classes)


def obtain(section: ModelSection, watcher: Watcher = SILENT) -> None:
    """Have the published weights that a network starts from downloaded, where they are missing. Raises FetchError."""
    if section.name == "pretrained":
        from tenfold.models import weights

        weights.obtain(section, watcher)


def origin(section: ModelSection) -> dict[str, Any]:
    """Where a network's first weights come from, for `environment.json`: nothing to say of fresh ones."""
    if section.name != "pretrained":
        return {}
    from tenfold.models import weights

    return {"pretrained": weights.origin(section)}
