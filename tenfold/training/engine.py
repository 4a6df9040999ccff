"""One training step: random seeds, device, memory layout, update and evaluation.

Only this module, `machine.py` and `models/layers.py` depend on the hardware; recipes and models do not.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.models.layers import Whitening, finalise, forward
from tenfold.models.resizing import resized, scaled
from tenfold.models.twins import is_known
from tenfold.recipe import TrainSection
from tenfold.training.augment import Batch, augmented
from tenfold.training.loader import Loader

# ----------------------------------------------------------------------------------------------------
# random numbers: they depend only on (seed, epoch, step), so no generator state has to be saved


def derived_seed(*key: int) -> int:
    """Derive a 63-bit seed from non-negative integers (numpy's SeedSequence)."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order of the training images in an epoch: int64 [count]."""
    return np.random.Generator(np.random.PCG64(derived_seed(seed, epoch, 0))).permutation(count)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A context that seeds Python, numpy and PyTorch (for initial weights) and restores their states at its end."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


# ----------------------------------------------------------------------------------------------------
# one step


def pixels(images: torch.Tensor) -> torch.Tensor:
    """uint8 [n, height, width, channels] → float32 [n, channels, height, width], channels_last in memory.

    Features [n, d] are returned unchanged.
    """
    return images.permute(0, 3, 1, 2).float() if images.ndim == 4 else images


def accepts(model: Any, size: tuple[int, int], scale: float) -> bool:
    """Whether a fast network accepts images of `size` (height, width) if they are resized by `scale`."""
    try:
        with torch.no_grad(), resized(model, scale) as left:
            model(torch.zeros(1, model.input_shape[1], *scaled(size, left)), training=False)
    except (RuntimeError, ValueError):
        return False
    return True


class Teacher(Protocol):
    """Another model from which a network learns beside the labels."""

    def loss(self, labels: torch.Tensor, logits: torch.Tensor, index: torch.Tensor, images: torch.Tensor,
             ) -> torch.Tensor:
        """The loss of a step: that from the `labels` and that from the teacher, mixed.

        logits: float32 [b, classes] of the network; index: int64 [b] of the images in the training split; images: what
        the network received.
        """
        ...


class Trainer:
    """Runs training steps and evaluations of a fast network with its optimizer and loss on one device.

    `class_weights` is float [classes] or None. A `teacher` adds to the loss. The only state is the variables of the
    model and the optimizer, which are moved to `device`, except the learning rate and the number of steps. The loaders
    passed to the methods must put their batches on the same device.
    """

    def __init__(self, model: Any, optimizer: Any, section: TrainSection, classes: int,
                 class_weights: np.ndarray | None = None, *, device: str = "cpu", teacher: Teacher | None = None,
                 ) -> None:
        self.model, self.optimizer, self.classes, self.device = model, optimizer, classes, device
        self._forward = forward(model)
        self._smoothing = section.label_smoothing
        self._augmentations, self._teacher = section.augment, teacher
        self._weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32).to(device)
        optimizer.build(model.trainable_variables)
        if device != "cpu":
            with keras.device(device):
                # The CPU reads these two in every step; on a GPU it would have to wait for them.
                read = {id(optimizer.iterations), id(optimizer._learning_rate)}
                move([*model.variables, *(v for v in optimizer.variables if id(v) not in read)], device)
                finalise(model.layers)
        self._parameters = [v.value for v in model.trainable_variables]
        layers = model._flatten_layers(include_self=False)
        self._seeds = [generator.state for layer in layers for generator in layer._seed_generators]
        self._has_own_layers = not all(map(is_known, layers))
        self._has_losses = self._has_own_layers or any(
            getattr(part, "activity_regularizer", None) or getattr(part, "regularizer", None)
            for part in (*layers, *model.trainable_variables))

    def adapt(self, split: Loader, count: int = 5000) -> None:
        """Fit the layers that need statistics of their input (whitening) to the first `count` images, in order."""
        with torch.no_grad(), keras.device(self.device):
            for layer in self.model.layers:
                if isinstance(layer, Whitening):
                    earlier = keras.Model(self.model.inputs, layer.input)
                    layer.adapt(earlier(pixels(batch), training=False) for batch in split.batches(100, count))

    def step(self, split: Loader, index: torch.Tensor, seed: int, epoch: int = 1,
             scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """Train on the images at `index` (int64 [b]) of a split, resized by `scale`: (loss, number correct).

        A network that resizes its images to a size of its own does so by `scale` of that size.
        """
        own = seeded(seed % 2**32) if self._has_own_layers else contextlib.nullcontext()
        with own, resized(self.model, scale) as left:
            return self._step(split, index, seed, epoch, left)

    def _step(self, split: Loader, index: torch.Tensor, seed: int, epoch: int,
              scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        torch.default_generator.manual_seed(seed)
        if self.device == "cuda":
            torch.cuda.manual_seed(seed)
        for number, state in enumerate(self._seeds):  # of Keras' own random layers, which count up from there
            state.assign([seed % 2**31, number << 16])
        for parameter in self._parameters:
            parameter.grad = None
        with keras.device(self.device):
            x, targets = self._batch(split, index, epoch, scale)
            logits = self._forward(x, training=True)
            loss = self._loss(logits, targets)
            if self._teacher is not None:
                loss = self._teacher.loss(loss, logits, index, x)
            if self._has_losses:  # of regularizers and of `add_loss`
                loss = sum(self.model.losses, loss)
            loss.backward()
            with torch.no_grad():
                self._update([parameter.grad for parameter in self._parameters])
                truth = targets.argmax(1) if targets.is_floating_point() else targets
                return loss.detach(), (logits.detach().argmax(1) == truth).sum()

    def _update(self, gradients: list[torch.Tensor | None]) -> None:
        self.optimizer.apply(gradients)

    def _batch(self, split: Loader, index: torch.Tensor, epoch: int,
               scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented and resized images with their targets; features are not augmented."""
        x, targets = pixels(split.images(index)), split.labels[index]
        if x.ndim == 2:
            return x, targets
        batch = augmented(Batch(x, targets, self.classes, index.to(self.device), epoch), self._augmentations, scale)
        return batch.images, batch.targets

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self._weights is None:
            return F.cross_entropy(logits, targets, label_smoothing=self._smoothing)
        losses = F.cross_entropy(logits, targets, label_smoothing=self._smoothing, reduction="none")
        weights = targets @ self._weights if targets.is_floating_point() else self._weights[targets]
        return (losses * weights).mean()

    def logits(self, split: Loader, batch_size: int,
               before: Callable[[int], None] = lambda done: None) -> torch.Tensor:
        """The logits of a split in inference mode: float32 [n, classes]; `before` as in `evaluate`."""
        found = []
        with torch.inference_mode(), keras.device(self.device):
            for number, batch in enumerate(split.batches(batch_size)):
                before(number * batch_size)
                found.append(self._forward(pixels(batch), training=False))
            return torch.cat(found).float()

    def evaluate(self, split: Loader, batch_size: int,
                 before: Callable[[int], None] = lambda done: None) -> tuple[float, float]:
        """(cross-entropy, accuracy) on a split, without augmentation, smoothing or class weights.

        `before` is called before each batch with the number of images evaluated so far; it may raise to stop.
        """
        logits = self.logits(split, batch_size, before)
        hits = int((logits.argmax(1) == split.labels).sum())
        return float(F.cross_entropy(logits, split.labels)), hits / len(split)


def move(variables: Iterable[Any], device: str) -> None:
    """Move Keras variables to a device; references to their old tensors become stale."""
    for variable in variables:
        value = variable._value.detach().to(device)
        variable._value = torch.nn.Parameter(value, requires_grad=variable._value.requires_grad)


def batches(order: np.ndarray, batch_size: int) -> Sequence[torch.Tensor]:
    """Split an order of images into batches of at most `batch_size`; sizes differ by at most one image."""
    count = -(-len(order) // batch_size)
    return torch.from_numpy(order).tensor_split(count)
