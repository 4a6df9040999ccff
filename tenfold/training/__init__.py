"""Training: `fit` trains the model of a recipe on a prepared data set, epoch by epoch."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.counted import are, counted
from tenfold.data.dataset import Dataset
from tenfold.data.familiar import pixel_ranges
from tenfold.errors import DivergedError, UsageError
from tenfold.machine import configure
from tenfold.models import build, check_build
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import Recipe, TrainSection
from tenfold.run import Run

if TYPE_CHECKING:
    from tenfold.training import engine
    from tenfold.training.checkpoint import Snapshot
    from tenfold.training.features import FeatureSet
    from tenfold.training.parallel import Ranks


def check(recipe: Recipe, dataset: Dataset, watcher: Watcher = SILENT) -> None:
    """Check a recipe against a prepared data set and this machine, before anything is written.

    Raises UsageError if a value of the recipe, TENFOLD_DEVICE or TENFOLD_THREADS is invalid here, and another
    TenfoldError if the weights of a pretrained backbone are unavailable. The watcher receives warnings about
    settings that work but are probably not intended.
    """
    configure(recipe.train.precision)
    _check_batch_sizes(recipe, dataset, watcher)
    _warn_of_large_cutout(recipe, dataset, watcher)
    _class_weights(recipe.train, dataset)
    if recipe.train.fit == "logistic-regression" and dataset.validation is None:
        raise UsageError("train.fit: received logistic-regression and no validation split; it needs one to choose "
                         "the regularisation: set data.validation=0.1")
    if recipe.train.distillation is not None:
        from tenfold.training import distillation

        distillation.check(recipe.train.distillation, dataset)
    if recipe.train.augmented_copies:
        from tenfold.training.features import check_copies

        check_copies(recipe)
    check_build(recipe.model, dataset.shape, len(dataset.classes))
    _check_image_scales(recipe, dataset)
    _warn_of_a_small_end(recipe, watcher)


_built: dict[tuple[Any, ...], Any] = {}  # the last network of `_with_backbone`


def fit(
    recipe: Recipe, dataset: Dataset, run: Run, callbacks: Sequence[Any] = (), watcher: Watcher = SILENT, *,
    resume: Snapshot | None = None, ranks: Ranks | None = None,
) -> Generator[dict[str, float]]:
    """Train and yield one record per epoch; write history, checkpoints and `model.keras` into the run.

    `dataset` is prepared: its splits are final. `callbacks` are `keras.callbacks.Callback`s; they see the fast
    training network. `watcher` receives every step and other progress. When it asks to stop, the current step
    finishes, a checkpoint is written and KeyboardInterrupt is raised. Training that continues from `resume` gives
    the same bits as uninterrupted training. `ranks` are the processes that train together, of which this is one.
    Raises DivergedError when the loss is not finite. After an interruption or divergence, `model.keras` holds the best
    (or last) finite weights.
    """
    from tenfold.training.loop import Stopped

    check(recipe, dataset)
    by_regression = recipe.train.fit == "logistic-regression"
    model = _with_backbone(recipe, dataset, watcher) if by_regression else _initial_network(recipe, dataset)
    _warn_of_batches_of_one(recipe, model, watcher)
    weights = _class_weights(recipe.train, dataset)
    if by_regression:
        from tenfold.training import probe

        record = probe.fit(recipe, dataset, model, weights, watcher)
        run.write_history([record])
        _save_model(run, recipe, dataset, model.get_weights(), epoch=1)
        yield record
        return
    teacher = None
    if recipe.train.distillation is not None:
        from tenfold.training import distillation

        teacher = distillation.teacher(recipe.train, dataset, watcher)
    try:
        if recipe.model.name == "pretrained":
            from tenfold.training import transfer

            yield from transfer.train(recipe, dataset, run, model, weights, callbacks, watcher, resume, teacher)
        else:
            yield from _train(recipe, dataset, run, model, weights, callbacks, watcher, resume, teacher, ranks)
    except Stopped:
        _save_best(run, recipe, dataset)
        raise KeyboardInterrupt from None
    except DivergedError:
        _save_best(run, recipe, dataset)
        raise
    _save_best(run, recipe, dataset)


def frozen_features(recipe: Recipe, dataset: Dataset, watcher: Watcher = SILENT) -> FeatureSet:
    """The features of a prepared data set's training and validation images under the recipe's frozen backbone.

    They are read from the cache if the recipe was trained on this machine. Raises the errors of `fit`.
    """
    from tenfold.training import features

    return features.dataset_features(_frozen_network(recipe, dataset, watcher), recipe, dataset, watcher)


def split_features(recipe: Recipe, dataset: Dataset, watcher: Watcher = SILENT) -> dict[str, np.ndarray]:
    """The features float32 [n, d] of each split of a data set under the recipe's frozen backbone, cached like those."""
    from tenfold.training import features

    network = _frozen_network(recipe, dataset, watcher)
    key = features.network_key(network)
    return {name: features.extract(network, key, split, features.View(), watcher, dataset.uri)
            for name, split in dataset.splits().items()}


def _frozen_network(recipe: Recipe, dataset: Dataset, watcher: Watcher) -> Any:
    """The fast network from pixels to features, with the weights of the backbone."""
    from tenfold.training import transfer

    return transfer.feature_network(_with_backbone(recipe, dataset, watcher))


def _with_backbone(recipe: Recipe, dataset: Dataset, watcher: Watcher) -> Any:
    """The fast network with the weights of its frozen backbone. The last one is kept, because building it takes long.

    Its logits layer may have been fitted since.
    """
    from tenfold.models import weights

    key = (recipe.model.model_dump_json(), recipe.train.precision, recipe.train.seed, dataset.shape,
           len(dataset.classes), repr(weights.origin(recipe.model)))
    if key in _built:
        weights.tell_if_random(recipe.model, watcher)
    else:
        network = _initial_network(recipe, dataset)
        weights.initialise(network, recipe.model, watcher)
        _built.clear()
        _built[key] = network
    return _built[key]


def _initial_network(recipe: Recipe, dataset: Dataset) -> Any:
    """The fast network with its initial weights, which depend only on the recipe."""
    from tenfold.training import engine

    machine = configure(recipe.train.precision)
    with engine.seeded(recipe.train.seed):
        network = build(recipe.model, dataset.shape, len(dataset.classes), fast=True, dtype=machine.dtype_policy)
    if recipe.model.name == "keras":
        from tenfold.models import classifier

        classifier.initialise(network, recipe.model)
    return network


def _train(recipe: Recipe, dataset: Dataset, run: Run, model: Any, weights: np.ndarray | None,
           callbacks: Sequence[Any], watcher: Watcher, resume: Snapshot | None,
           teacher: engine.Teacher | None, ranks: Ranks | None) -> Iterator[dict[str, float]]:
    """Train the fast network `model`, which has its initial weights."""
    from tenfold.training import engine, optimizers
    from tenfold.training.loop import Loop

    machine = configure(recipe.train.precision)
    optimizer = optimizers.make(recipe.train, machine.dtype)
    trained = model, optimizer, recipe.train, len(dataset.classes), weights
    if ranks is None:
        trainer = engine.Trainer(*trained, device=machine.device, teacher=teacher)
    else:
        from tenfold.training.parallel import Agreed, ParallelTrainer

        watcher = agreed = Agreed(watcher)
        trainer = ParallelTrainer(*trained, device=machine.device, teacher=teacher, ranks=ranks, agreed=agreed)
    yield from Loop(recipe, dataset, run, trainer, callbacks, watcher).fit(resume)


def _check_batch_sizes(recipe: Recipe, dataset: Dataset, watcher: Watcher) -> None:
    """Raise UsageError without training images; warn about batches larger than the training split."""
    count, head = len(dataset.train), recipe.train.head
    if not count:
        raise UsageError("the training split has no images; expected at least one of each class: lower data.validation "
                         "and data.test, or choose other data.classes")
    for key, size in (("train.batch_size", recipe.train.batch_size),
                      ("train.head.batch_size", head.batch_size if head else 0)):
        if size > count:
            watcher.notice(f"{key} is {size:,}, but there {are(count)} only {counted(count, 'training image')}: each "
                           "step uses all of them")


def _warn_of_large_cutout(recipe: Recipe, dataset: Dataset, watcher: Watcher) -> None:
    """Warn about a cutout that hides most of the image."""
    pixels, side = recipe.train.augment.get("cutout", {}).get("pixels", 0), min(dataset.shape[:2])
    if pixels >= side:
        watcher.notice(f"train.augment.cutout.pixels is {pixels}, but images are {side} pixels wide: most training "
                       f"images are blank; set train.augment.cutout.pixels={max(side // 3, 1)}")


def _warn_of_batches_of_one(recipe: Recipe, model: Any, watcher: Watcher) -> None:
    """Warn about batch normalisation in batches of one image: a single value per channel is normalised to zero."""
    norm = "BatchNormalization"
    if recipe.train.batch_size == 1 and any(type(layer).__name__ == norm and layer.trainable for layer in model.layers):
        watcher.notice("train.batch_size is 1, but the network has batch normalisation, which compares images: set "
                       "train.batch_size=8 or more")


def _check_image_scales(recipe: Recipe, dataset: Dataset) -> None:
    """Raise UsageError if the network does not accept every image size that the recipe trains on."""
    scales = sorted(set(recipe.train.image_scales))
    if not scales:
        return
    from tenfold.models.backbone import ENLARGED
    from tenfold.models.resizing import scaled
    from tenfold.training import engine

    model, own = build(recipe.model, dataset.shape, len(dataset.classes), fast=True), recipe.model.image_size
    full = dataset.shape[:2] if own is None else (own, own)
    if any(layer.name == ENLARGED for layer in model.layers):
        raise UsageError(f"train.image_scales: received {min(scales):g}, but the backbone resizes all images to its "
                         "own size, so smaller ones save nothing; expected no scales: leave out train.image_scales")
    for scale in scales:
        if not engine.accepts(model, dataset.shape[:2], scale):
            height, width = scaled(full, scale)
            raise UsageError(f"train.image_scales: received {scale:g}, images of {height}×{width} pixels, which model "
                             f"{recipe.model.name} built for {full[0]}×{full[1]} does not accept; "
                             "expected larger scales, or a model that accepts images of any size (speednet, "
                             "a pretrained backbone, or model.pooling=global-average)")


def _warn_of_a_small_end(recipe: Recipe, watcher: Watcher) -> None:
    """Warn about a last epoch on smaller images than those of the evaluation."""
    scales = recipe.train.image_scales
    if scales and scales[-1] != 1:
        watcher.notice(f"train.image_scales ends with {scales[-1]:g}, but evaluation uses the full size: end with 1")


def _class_weights(section: TrainSection, dataset: Dataset) -> np.ndarray | None:
    """The loss weight of each class (float [classes]), as in Keras' `class_weight`; None for equal weights."""
    if section.class_weights == "none":
        return None
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.classes))
    if section.class_weights == "balanced":
        return counts.sum() / (len(counts) * np.maximum(counts, 1))
    if set(section.class_weights) != set(dataset.classes):
        raise UsageError(f"train.class_weights: received weights for {', '.join(section.class_weights)}; "
                         f"expected one for each class: {', '.join(dataset.classes)}")
    return np.array([section.class_weights[name] for name in dataset.classes])


def _save_best(run: Run, recipe: Recipe, dataset: Dataset) -> None:
    """Write the weights of the best checkpoint, else of the last, as `model.keras`; nothing without a checkpoint."""
    from tenfold.training import checkpoint

    if not checkpoint.has(run, "last"):
        return
    kept = checkpoint.load(run, "best" if checkpoint.has(run, "best") else "last")
    _save_model(run, recipe, dataset, kept.weights, kept.position.epoch)


def _save_model(run: Run, recipe: Recipe, dataset: Dataset, weights: Sequence[np.ndarray], epoch: int) -> None:
    """Copy the weights into the plain twin and write it as `model.keras`."""
    from tenfold import modelfile

    plain = build(recipe.model, dataset.shape, len(dataset.classes))
    if recipe.model.name == "pretrained":
        from tenfold.training import transfer

        transfer.put_checkpoint(plain, recipe, weights, lambda: _initial_network(recipe, dataset))
    else:
        plain.set_weights(list(weights))
    facts = {"classes": list(dataset.classes), "shape": list(dataset.shape), "epoch": epoch, "recipe": recipe.name,
             "pixels": pixel_ranges(dataset.train.images), "resize": dataset.resize}
    run.write("model.keras", lambda path: modelfile.save(plain, path, facts))
