"""The sections of a recipe: every key with its type, default and meaning."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Monitor = Literal["val_loss", "val_accuracy", "loss", "accuracy"]


def _share(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a fraction from 0 to below 1, or a whole number of images")
    if not 0 <= value < math.inf or (value >= 1 and value != int(value)):
        raise ValueError("must be a fraction from 0 to below 1, or a whole number of images")
    return int(value) if value >= 1 else float(value)


def _names(value: object) -> object:
    return [str(item) for item in (value if isinstance(value, (list, tuple)) else [value])]


Share = Annotated[float, BeforeValidator(_share)]
Names = Annotated[list[str], BeforeValidator(_names)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Values(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def none_is_null(cls, values: object) -> object:
        """TOML has no null: "none" stands for it wherever a field may be None."""
        if not isinstance(values, dict):
            return values
        optional = {name for name, field in cls.model_fields.items() if type(None) in get_args(field.annotation)}
        return {k: None if k in optional and v == "none" else v for k, v in values.items()}


class Section(_Values):
    """A table of a recipe: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class DataSection(Section):
    """Which images: the source, and what becomes of its splits."""

    source: str = Field("cifar10", description="a data set's name or URI, as `--data` takes it")
    classes: Names = Field([], description="the classes to keep, in this order; empty: all")
    train_size: int | None = Field(None, ge=1, description="a stratified subset of the training images; none: all")
    validation: Share = Field(0.1, description="held out of train where the source has no validation split: "
                                               "a fraction or a number of images; 0: none")
    test: Share = Field(0.2, description="held out of train where the source has no test split")
    seed: Seed = Field(0, description="seed of the splits and subsets (training has a seed of its own)")


class ModelSection(_Values):
    """Which network; every further key is an option of that model."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    name: str = Field("cnn", description="a registered model")
    image_size: int | None = Field(None, ge=8, le=1024, description="resize images to this many pixels a side; "
                                                                    "none: as they are")

    @property
    def options(self) -> dict[str, Any]:
        """The model's own options, complete with their defaults."""
        return dict(self.model_extra or {})


class EarlyStopping(Section):
    """Stop when the monitored value no longer improves, as `keras.callbacks.EarlyStopping` does."""

    monitor: Monitor = Field("val_loss", description="the recorded value to watch")
    patience: int = Field(3, ge=0, description="epochs without improvement before stopping")
    min_delta: float = Field(0.0, ge=0, description="the least change that counts as improvement")
    start_from_epoch: int = Field(0, ge=0, description="epochs to wait before watching")
    restore_best_weights: bool = Field(True, description="end with the weights of the best monitored epoch")


class Plateau(Section):
    """Lower the learning rate when progress stalls, as `keras.callbacks.ReduceLROnPlateau` does."""

    monitor: Monitor = Field("val_loss", description="the recorded value to watch")
    factor: float = Field(0.1, gt=0, lt=1, description="new learning rate = learning rate × factor")
    patience: int = Field(10, ge=0, description="epochs without improvement before lowering")
    min_delta: float = Field(1e-4, ge=0, description="the least change that counts as improvement")
    cooldown: int = Field(0, ge=0, description="epochs to wait after lowering")
    min_lr: float = Field(0.0, ge=0, description="the learning rate is never lowered below this")


class Checkpoint(Section):
    """Which epoch is the best, as `keras.callbacks.ModelCheckpoint(save_best_only=True)` chooses it."""

    monitor: Monitor = Field("val_accuracy", description="the recorded value that the best epoch has best")


class Head(Section):
    """Before the rest: train the logits of a pretrained backbone alone, on features that are computed once."""

    epochs: int = Field(10, ge=1, description="passes over the features")
    learning_rate: float = Field(1e-3, gt=0, description="constant learning rate of the logits")
    batch_size: int = Field(128, ge=1, description="images a step")


class TrainSection(Section):
    """How the weights are found."""

    epochs: int = Field(10, ge=1, description="passes over the training images, at most")
    batch_size: int = Field(128, ge=1, description="images a step")
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "muon", "normalized-muon", "logistic-regression"] = Field(
        "adam", description="update rule; adam and adamw are one (weight decay is decoupled); logistic-regression: "
                            "scikit-learn's, on the features of a frozen backbone")
    learning_rate: float = Field(1e-3, gt=0, description="peak learning rate")
    vector_learning_rate: float = Field(1.0, gt=0, description="peak learning rate of vectors (biases), for "
                                                               "normalized-muon")
    logits_learning_rate: float = Field(1.0, gt=0, description="peak learning rate of the last layer, for "
                                                               "normalized-muon")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd, rmsprop and the muons")
    nesterov: bool = Field(True, description="Nesterov momentum, for sgd and muon")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay of kernels; with normalized-muon, which "
                                                         "keeps the norm of the others, of the logits' kernel")
    schedule: Literal["constant", "cosine", "one-cycle", "linear-decay"] = Field(
        "constant", description="course of the learning rate over the steps")
    warmup: float = Field(0.0, ge=0, description="epochs of linear warm-up before the schedule")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="probability mass spread evenly over all classes")
    stage_decay: float = Field(1.0, gt=0, le=1, description="pretrained backbones: the learning rate of each stage "
                                                            "as a share of that of the stage after it")
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        "none", description="weight of each class in the loss: none, balanced (inverse frequency) or a table")
    image_scales: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [], description="to what share of their sides the epochs scale the training images, stretched over the epochs "
                        "(progressive resizing); images are judged as they are, so end with 1; empty: as they are")
    views: int = Field(1, ge=1, le=64, description="frozen backbones: views of each image whose features are cached: "
                                                   "as it is, then augmented")
    head: Head | None = Field(None, description="table; none: everything is trained from the first step")
    augment: dict[str, dict[str, Any]] = Field({}, description="augmentations of the training batches, by name")
    early_stopping: EarlyStopping | None = Field(None, description="table; none: train all epochs")
    plateau: Plateau | None = Field(None, description="table; none: no reduction on plateau")
    checkpoint: Checkpoint | None = Field(Checkpoint(), description="table: which epoch is kept; none: the last")
    checkpoint_minutes: float = Field(5.0, gt=0, description="the longest time without a checkpoint, within an epoch")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the processor computes in it, else float32")
    seed: Seed = Field(0, description="seed of the initial weights, the shuffling, augmentation and dropout")

    @property
    def all_epochs(self) -> int:
        """The epochs of all phases, at most."""
        return self.epochs + (self.head.epochs if self.head else 0)


class EvaluateSection(Section):
    """How the finished model is judged."""

    batch_size: int = Field(500, ge=1, description="images a step in evaluation")
    tta: Literal["none", "mirror", "mirror-translate"] = Field(
        "none", description="test-time augmentation: the views that are judged as well, and scored apart")
    tta_below: float = Field(1.0, gt=0, le=1, description="only images whose greatest probability is less than this "
                                                          "get the further views; 1: all")
