"""The sections of a recipe: every key with its type, default and meaning."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

ENSEMBLE = "ensemble"  # the model.name of a run that averages others; its option is their paths, `members`
Resize = Literal["pad", "crop", "stretch"]
Monitor = Literal["val_loss", "val_accuracy", "loss", "accuracy"]


def _fraction_or_count(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a fraction from 0 to below 1, or a whole number of images")
    if not 0 <= value < math.inf or (value >= 1 and value != int(value)):
        raise ValueError("must be a fraction from 0 to below 1, or a whole number of images")
    return int(value) if value >= 1 else float(value)


def _names(value: object) -> object:
    return [str(item) for item in (value if isinstance(value, (list, tuple)) else [value])]


FractionOrCount = Annotated[float, BeforeValidator(_fraction_or_count)]
Names = Annotated[list[str], BeforeValidator(_names)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Values(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def none_is_null(cls, values: object) -> object:
        """TOML has no null, so "none" means None for every field that may be None."""
        if not isinstance(values, dict):
            return values
        optional = {name for name, field in cls.model_fields.items() if type(None) in get_args(field.annotation)}
        return {k: None if k in optional and v == "none" else v for k, v in values.items()}


class Section(_Values):
    """A table of a recipe: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class Named(_Values):
    """A table that names a registered function; its other keys are options of that function."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The options of the function, including defaults."""
        return dict(self.model_extra or {})


class DataSection(Section):
    """The source of the images and how to split them."""

    source: str = Field("cifar10", description="name or URI of a data set, as for `--data`")
    classes: Names = Field([], description="classes to keep, in this order; empty: all")
    train_size: int | None = Field(None, ge=1, description="number of training images to use, chosen at random, with "
                                                           "the classes in proportion; none: all")
    validation: FractionOrCount = Field(0.1, description="training images to hold out for validation if the source "
                                                         "has no validation split: a fraction or a number; 0: none")
    calibration: FractionOrCount = Field(0.5, description="validation images that are used only to fit the "
                                                          "thresholds of decision rules: a fraction or a number; "
                                                          "a fraction of fewer than 100 images holds out none; "
                                                          "0: none")
    test: FractionOrCount = Field(0.2, description="training images to hold out for testing if the source has no "
                                                   "test split: a fraction or a number")
    folds: int | None = Field(None, ge=3, le=1000, description="number of folds for cross-validation; one fold "
                                                               "replaces the test split, which is then not used; "
                                                               "none: no folds")
    fold: int = Field(1, ge=1, description="number of the fold that is left out of training")
    size: int | None = Field(None, ge=8, le=1024, description="own images: height and width to which they are decoded; "
                                                              "none: the median side, but at most what "
                                                              "`model.image_size` says, or 64")
    resize: Resize = Field("pad", description="own images of another shape: pad with black, crop the middle, or "
                                              "stretch")
    path_column: str | None = Field(None, description="own table: name of the column of paths; none: found by content")
    label_column: str | None = Field(None, description="own table: name of the column of labels; none: found by name")
    group: str | None = Field("bursts", description="own images that stay together in one split: bursts (runs of "
                                                    "nearly identical images), a regular expression whose first group "
                                                    "names the group in the path of an image, or none")
    exclude: str | None = Field(None, description="CSV file with the columns image, decision (keep, drop or relabel) "
                                                  "and label, as the page of `tenfold data check` exports it; none: "
                                                  "use all images as they are")
    allow_empty: bool = Field(False, description="own folders: keep classes whose folder holds no images")
    seed: Seed = Field(0, description="seed for splits and subsets (`train.seed` is the seed for training)")


class ModelSection(Named):
    """The network. All other keys are options of the named model."""

    name: str = Field("cnn", description="name of a model, see below")
    image_size: int | None = Field(None, ge=8, le=1024, description="resize images to this height and width in "
                                                                    "pixels; none: keep their size")


class OptimizerSection(Named):
    """The optimizer. All other keys are options of the named optimizer."""

    name: str = Field("adam", description="name of an optimizer, see below")


class EarlyStopping(Section):
    """Stop when the monitored value stops improving, like `keras.callbacks.EarlyStopping`."""

    monitor: Monitor = Field("val_loss", description="value to monitor")
    patience: int = Field(3, ge=0, description="epochs without improvement before training stops")
    min_delta: float = Field(0.0, ge=0, description="smallest change that counts as an improvement")
    start_from_epoch: int = Field(0, ge=0, description="epochs to train before monitoring starts")
    restore_best_weights: bool = Field(True, description="keep the weights of the best epoch, not of the last")


class Plateau(Section):
    """Lower the learning rate when the monitored value stops improving, like `keras.callbacks.ReduceLROnPlateau`."""

    monitor: Monitor = Field("val_loss", description="value to monitor")
    factor: float = Field(0.1, gt=0, lt=1, description="the learning rate is multiplied by this")
    patience: int = Field(10, ge=0, description="epochs without improvement before the learning rate is lowered")
    min_delta: float = Field(1e-4, ge=0, description="smallest change that counts as an improvement")
    cooldown: int = Field(0, ge=0, description="epochs to wait after each reduction")
    min_lr: float = Field(0.0, ge=0, description="lowest learning rate")


class Checkpoint(Section):
    """Keep the best epoch, chosen like `keras.callbacks.ModelCheckpoint(save_best_only=True)`."""

    monitor: Monitor = Field("val_accuracy", description="value that decides which epoch is best")


class Head(Section):
    """For a pretrained backbone: first train only the logits, on features that are computed once."""

    epochs: int = Field(10, ge=1, description="passes over the features")
    learning_rate: float = Field(1e-3, gt=0, description="constant learning rate of the logits")
    batch_size: int = Field(128, ge=1, description="images per step")


class Distillation(Section):
    """Learn the probabilities of a finished run, the teacher, beside the labels (Hinton et al. 2015)."""

    teacher: str = Field(description="directory of the teacher's run, as for `--teacher`")
    weight: float = Field(0.9, gt=0, le=1, description="weight of the teacher's probabilities in the loss; the labels "
                                                       "have the rest")
    temperature: float = Field(4.0, gt=0, le=100, description="divides the logits of both: the higher, the more the "
                                                              "improbable classes count")
    augmented: bool = Field(False, description="the teacher sees the augmented images of each step, at the cost of its "
                                               "computation; false: its logits of the plain images, computed once")


class TrainSection(Section):
    """How the network is trained."""

    fit: Literal["gradient-descent", "logistic-regression"] = Field(
        "gradient-descent", description="gradient-descent: train the network step by step; logistic-regression: fit "
                                        "the logits on the features of a frozen backbone, with scikit-learn")
    epochs: int = Field(10, ge=1, description="largest number of passes over the training images")
    batch_size: int = Field(128, ge=1, description="images per step")
    optimizer: OptimizerSection = Field(
        OptimizerSection(), description="name of an optimizer, or a table with its name and options")
    learning_rate: float = Field(1e-3, gt=0, description="highest learning rate of the schedule")
    schedule: Literal["constant", "cosine", "one-cycle", "linear-decay"] = Field(
        "constant", description="how the learning rate changes over the steps")
    warmup: float = Field(0.0, ge=0, description="epochs of linear warm-up of the learning rate, before the schedule")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="probability spread evenly over all classes in the "
                                                                "targets")
    stage_decay: float = Field(1.0, gt=0, le=1, description="for a pretrained backbone: learning rate of each stage, "
                                                            "as a fraction of the rate of the stage after it")
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        "none", description="weight of each class in the loss: none, balanced (inverse frequency), or a table with a "
                            "weight for each class")
    image_scales: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [], description="progressive resizing: height and width of the training images as fractions of the full size "
                        "(`model.image_size` if set), in order over the epochs; end with 1, because evaluation uses "
                        "the full size; empty: always full size")
    augmented_copies: int = Field(0, ge=0, le=63, description="for a frozen backbone: number of augmented copies of "
                                                              "each training image whose features are also cached")
    head: Head | None = Field(None, description="a table; none: train everything from the first step")
    augment: dict[str, dict[str, Any]] = Field({}, description="augmentations of the training images, by name")
    distillation: Distillation | None = Field(None, description="a table; none: learn from the labels alone")
    early_stopping: EarlyStopping | None = Field(None, description="a table; none: train for all epochs")
    plateau: Plateau | None = Field(None, description="a table; none: do not lower the learning rate on a plateau")
    checkpoint: Checkpoint | None = Field(Checkpoint(), description="a table; none: keep the last epoch")
    checkpoint_minutes: float = Field(5.0, gt=0, description="longest time between checkpoints, within an epoch too")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 if the processor supports it, otherwise float32")
    seed: Seed = Field(0, description="seed for initial weights, shuffling, augmentation and dropout")

    @property
    def all_epochs(self) -> int:
        """The largest number of epochs in all phases."""
        return self.epochs + (self.head.epochs if self.head else 0)


class EvaluateSection(Section):
    """How the finished model is evaluated."""

    batch_size: int = Field(500, ge=1, description="images per step")
    tta: Literal["none", "mirror", "mirror-translate"] = Field(
        "none", description="test-time augmentation: average the predictions for an image and its transformed copies; "
                            "metrics without it are reported too")
    tta_below: float = Field(1.0, gt=0, le=1, description="use test-time augmentation only for images whose highest "
                                                          "probability is below this; 1: for all")


class Sections(Section):
    """All sections of a recipe."""

    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()
    evaluate: EvaluateSection = EvaluateSection()
