"""Networks with a pretrained backbone: EfficientNet-Lite0, one of `keras.applications`, a run or a Keras file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tenfold.models.options import Rate, takes_pixels
from tenfold.registry import MODELS

if TYPE_CHECKING:
    from tenfold.models.layers import Layers

Stages = Literal["all", "none"] | Annotated[int, Field(ge=1, le=100)]


@MODELS.add("pretrained")
@takes_pixels
def pretrained(
    layers: Layers,
    x: Any,
    *,
    backbone: str = "ResNet50",
    weights: str = "imagenet",
    trainable: Stages = "all",
    batch_norm: Literal["frozen", "trained"] = "frozen",
    dropout: Rate = 0.0,
) -> Any:
    """A pretrained `backbone` with its features averaged over the image, dropout and a logits layer.

    `backbone` is EfficientNetLite0, whose weights are installed with Tenfold, a name in `keras.applications`,
    `run:DIRECTORY` (the model of a run without its logits layer) or `file:PATH` (a `.keras` or `.h5` model from raw
    pixels to features or feature maps). `weights` is "imagenet" (with `run:` and `file:`: the weights in the file), the
    path of a weights file, or "none" (random weights). `trainable` is the number of stages to train, counted from the
    end; a stage is all layers of one resolution. "none" trains only the logits layer, on features that are computed
    once. With `batch_norm` "frozen", batch normalisation keeps its statistics, scale and shift. Images too small for
    the backbone are enlarged.
    """
    from tenfold.models import backbone as backbones

    return backbones.draw(layers, x, backbone, weights, trainable, batch_norm == "frozen", dropout)
