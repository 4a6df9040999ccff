"""Networks on a pretrained backbone: one of `keras.applications`, a run's, or any Keras file's."""

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
    """A pretrained `backbone`, its features averaged over the image, then dropout and the logits.

    `backbone` is a name in `keras.applications`, `run:DIRECTORY` (a run, cut before its logits) or
    `file:PATH` (a `.keras` or `.h5` model with a pooled or spatial output, raw pixels in). `weights` is
    "imagenet" (for `run:` and `file:` those of the file), a weights file, or "none" (from scratch).
    `trainable` says how many stages (parts of one resolution) are trained, counted from the end; "none"
    trains the logits alone, on features that are computed once. "frozen" batch normalisation keeps its
    statistics, scale and shift. Images smaller than the backbone takes are enlarged to what it takes.
    """
    from tenfold.models import backbone as backbones

    return backbones.draw(layers, x, backbone, weights, trainable, batch_norm == "frozen", dropout)
