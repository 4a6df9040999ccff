"""The machine: device, threads, allocator, precision and memory layout, and one training step.

Whatever depends on the hardware is decided here (and in `models/layers.py`); recipes and models say
nothing of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.errors import EngineError
from tenfold.models.layers import Whitening, finalise, forward
from tenfold.recipe import TrainSection
from tenfold.training.augment import Batch, augmented
from tenfold.training.loader import Loader

# ----------------------------------------------------------------------------------------------------
# the machine


@dataclass(frozen=True)
class Machine:
    """What the engine computes with, and why: shown by `tenfold doctor`, recorded in every run."""

    device: str  # as PyTorch names it: "cpu" or "cuda"
    gpu: str  # its name; "none" where it is not the device
    threads: int
    precision: str
    precision_reason: str
    allocator: str

    @property
    def dtype_policy(self) -> str:
        """The Keras dtype policy of the training network."""
        return "mixed_bfloat16" if self.precision == "bfloat16" else "float32"

    @property
    def dtype(self) -> torch.dtype:
        """What the training network computes in."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def prepare(precision: str = "auto") -> Machine:
    """Set this process up for training: device, allocator, threads, denormals. Returns what was chosen.

    TENFOLD_DEVICE overrides the device, TENFOLD_THREADS the number of threads. Raises EngineError if one of
    them is nothing that can be used.
    """
    device = choose_device()
    threads = _threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # values below 1e-38 are zero for a network and slow for a processor
    gpu = "none"
    if device == "cuda":
        torch.backends.cudnn.benchmark = True  # try the ways to convolve once for each size, keep the fastest
        gpu = torch.cuda.get_device_name()
    chosen, reason = choose_precision(precision, device)
    return Machine(device, gpu, threads, chosen, reason, _keep_memory())


def choose_device() -> str:
    """"cuda" where TENFOLD_DEVICE asks for it, else "cpu".

    A GPU is not chosen by itself before trainings on one have been measured (docs/performance.md).
    """
    asked = os.environ.get("TENFOLD_DEVICE", "cpu")
    if asked not in ("cpu", "cuda"):
        raise EngineError(f"TENFOLD_DEVICE={asked!r}; expected cpu or cuda")
    if asked == "cuda" and not torch.cuda.is_available():
        raise EngineError("TENFOLD_DEVICE='cuda', and this PyTorch finds no GPU it can use; expected one: unset the "
                          "variable, or install a PyTorch wheel for CUDA and look at `nvidia-smi`")
    return asked


def choose_precision(precision: str = "auto", device: str = "cpu") -> tuple[str, str]:
    """("float32" or "bfloat16", why): bfloat16 where the device multiplies in it."""
    if precision != "auto":
        return precision, "asked for"
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "the GPU computes in bfloat16"
        return "float32", "the GPU does not compute in bfloat16"
    units = processor_units()
    if units["AMX-BF16"]:
        return "bfloat16", "the processor has AMX-BF16"
    if units["AVX512-BF16"]:
        return "bfloat16", "the processor has AVX512-BF16"
    return "float32", "the processor has neither AMX-BF16 nor AVX512-BF16"


def processor_units() -> dict[str, bool]:
    """Which of the units that matter for speed this processor has, as PyTorch sees it."""
    cpu = torch.cpu
    probes = {
        "AVX2": "_is_avx2_supported", "AVX-512": "_is_avx512_supported",
        "AVX512-BF16": "_is_avx512_bf16_supported", "AMX-BF16": "_is_amx_tile_supported",
    }
    return {name: bool(getattr(cpu, probe, lambda: False)()) for name, probe in probes.items()}


def processor_name() -> str:
    """The processor's own name for itself."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _threads() -> int:
    asked = os.environ.get("TENFOLD_THREADS")
    if asked is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise EngineError(f"TENFOLD_THREADS={asked!r}; expected a whole number of threads, 1 or more")
    return int(asked)


def _keep_memory() -> str:
    """Keep glibc from handing large blocks back to the kernel, to be page-faulted in again next step."""
    if not sys.platform.startswith("linux"):
        return "as the system has it"
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return "as the system has it (no glibc)"
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
    done = mallopt(m_mmap_max, 0) and mallopt(m_trim_threshold, 2**31 - 1) and mallopt(m_top_pad, 2**26)
    return "glibc, keeps freed blocks" if done else "as the system has it (glibc refused)"


# ----------------------------------------------------------------------------------------------------
# randomness: every draw is a function of (seed, epoch, step), so there is no state to lose


def derived_seed(*key: int) -> int:
    """A 63-bit seed from the whole numbers of `key` (numpy's SeedSequence)."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order of the training images in an epoch: int64 [count]."""
    return np.random.Generator(np.random.PCG64(derived_seed(seed, epoch, 0))).permutation(count)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python, numpy and PyTorch for the body (initial weights), and put their states back after."""
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

    Features [n, d] are left as they are.
    """
    return images.permute(0, 3, 1, 2).float() if images.ndim == 4 else images


def takes(model: Any, size: tuple[int, int]) -> bool:
    """Whether a fast network can be shown images of that height and width, whatever it was built for."""
    try:
        with torch.no_grad():
            model(torch.zeros(1, model.input_shape[1], *size), training=False)
    except (RuntimeError, ValueError):
        return False
    return True


class Trainer:
    """A fast network, its optimizer and its loss on a device: one step, one pass of evaluation.

    `class_weights` is float [classes] or None. State is the model's and the optimizer's variables, which are
    moved to `device`; the loaders that a trainer is given put their batches there as well.
    """

    def __init__(self, model: Any, optimizer: Any, section: TrainSection, classes: int,
                 class_weights: np.ndarray | None = None, *, device: str = "cpu") -> None:
        self.model, self.optimizer, self.classes, self.device = model, optimizer, classes, device
        self._forward = forward(model)
        self._smoothing = section.label_smoothing
        self._augmentations = section.augment
        self._weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32).to(device)
        optimizer.build(model.trainable_variables)
        if device != "cpu":
            with keras.device(device):
                _move([*model.variables, *optimizer.variables], device)
                finalise(model.layers)
        self._parameters = [v.value for v in model.trainable_variables]

    def adapt(self, split: Loader, count: int = 5000) -> None:
        """Show the first `count` images to the layers that take statistics of their input (whitening), in order."""
        with torch.no_grad(), keras.device(self.device):
            for layer in self.model.layers:
                if isinstance(layer, Whitening):
                    before = keras.Model(self.model.inputs, layer.input)
                    layer.adapt(before(pixels(some), training=False) for some in split.batches(100, count))

    def step(self, split: Loader, index: torch.Tensor, seed: int, epoch: int = 1,
             scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """One update on the images `index` (int64 [b]) of a split, their sides scaled. Returns (loss, correct)."""
        torch.default_generator.manual_seed(seed)
        if self.device == "cuda":
            torch.cuda.manual_seed(seed)
        for parameter in self._parameters:
            parameter.grad = None
        with keras.device(self.device):
            x, targets = self._batch(split, index, epoch, scale)
            logits = self._forward(x, training=True)
            loss = self._loss(logits, targets)
            loss.backward()
            with torch.no_grad():
                self._update([parameter.grad for parameter in self._parameters])
                truth = targets.argmax(1) if targets.is_floating_point() else targets
                return loss.detach(), (logits.detach().argmax(1) == truth).sum()

    def _update(self, gradients: list[torch.Tensor | None]) -> None:
        self.optimizer.apply(gradients)

    def _batch(self, split: Loader, index: torch.Tensor, epoch: int,
               scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented, scaled images and their targets; features are taken as they are."""
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
        """Logits of a split's images in inference mode: float32 [n, classes]."""
        found = []
        with torch.inference_mode(), keras.device(self.device):
            for number, batch in enumerate(split.batches(batch_size)):
                before(number * batch_size)
                found.append(self._forward(pixels(batch), training=False))
            return torch.cat(found).float()

    def evaluate(self, split: Loader, batch_size: int,
                 before: Callable[[int], None] = lambda done: None) -> tuple[float, float]:
        """(cross-entropy, accuracy) on a split, without augmentation, smoothing or class weights.

        `before` is called before each batch with the number of images judged so far, and may raise to end it.
        """
        logits = self.logits(split, batch_size, before)
        hits = int((logits.argmax(1) == split.labels).sum())
        return float(F.cross_entropy(logits, split.labels)), hits / len(split)


def _move(variables: Iterable[Any], device: str) -> None:
    """Put Keras variables onto a device; tensors of them that were taken before are not theirs any more."""
    for variable in variables:
        value = variable._value.detach().to(device)
        variable._value = torch.nn.Parameter(value, requires_grad=variable._value.requires_grad)


def batches(order: np.ndarray, batch_size: int) -> Sequence[torch.Tensor]:
    """Split an order into batches of at most `batch_size` whose sizes differ by at most one image."""
    count = -(-len(order) // batch_size)
    return torch.from_numpy(order).tensor_split(count)
