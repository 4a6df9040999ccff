"""A Keras classifier of one's own, which a recipe trains like any other network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tenfold.models.options import takes_pixels
from tenfold.registry import MODELS

if TYPE_CHECKING:
    from tenfold.models.layers import Layers


@MODELS.add("keras")
@takes_pixels
def keras_model(layers: Layers, x: Any, *, file: str = "", pixels: Literal["0-255", "0-1"] = "0-255") -> Any:
    """A Keras classifier of your own from a `.keras` or `.h5` `file`, trained further from its weights.

    `tenfold.train(model, data)` in Python writes the file. The last layer of the model is Dense with a unit for each
    class, with softmax or without. `pixels` is the range of the pixels that the model takes. Images of another size are
    resized to that of the model.
    """
    from tenfold.models import classifier

    return classifier.draw(layers, x, file, pixels)
