"""Data-parallel training: several processes hold the same network, and each computes its share of every batch.

The gradients are averaged over the images of the batch, so a step is that of one process with the whole batch. Batch
normalisation uses the statistics of each share; the moving statistics are averaged. Dropout and augmentations draw
other random numbers in each process.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.errors import RunError
from tenfold.progress import Event, Watcher
from tenfold.run import Run
from tenfold.training import engine
from tenfold.training.loader import Loader

PATIENCE = datetime.timedelta(minutes=5)  # with processes that do not come, or save while the others wait


@dataclass(frozen=True)
class Ranks:
    """The processes that train together: the number of this one, from 0, and how many there are."""

    rank: int
    count: int

    def share(self, index: torch.Tensor) -> torch.Tensor:
        """This process's part of a batch or an order of images; sizes differ by at most one."""
        return index.tensor_split(self.count)[self.rank]

    def wait(self) -> None:
        """Wait until all processes are here."""
        dist.barrier()


@contextlib.contextmanager
def joined(meeting: Path, rank: int, count: int, device: str = "cpu") -> Iterator[Ranks]:
    """Join the other processes, which meet by a file that all can see and that does not exist before."""
    backend = "nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"file://{meeting.absolute()}", rank=rank, world_size=count,
                            timeout=PATIENCE)
    try:
        yield Ranks(rank, count)
    finally:
        dist.destroy_process_group()


class Leader(Run):
    """The run of the first process: it is written as long as the file exists by which the processes met.

    So a process that was given up, because its node seemed dead, can't write beside the one that has replaced it.
    """

    def __init__(self, path: Path, meeting: Path) -> None:
        super().__init__(path)
        self._meeting = meeting

    def write(self, name: str, content: Any) -> Path:
        self._check_current()
        return super().write(name, content)

    def write_directory(self, name: str, fill: Callable[[Path], object]) -> Path:
        self._check_current()
        return super().write_directory(name, fill)

    def _check_current(self) -> None:
        if not self._meeting.exists():
            raise RunError(f"{self.path}: other processes have taken over this training, because this one did not "
                           "respond: let them finish")


class Follower(Run):
    """The run of a process that is not the first: it writes nothing."""

    def write(self, name: str, content: Any) -> Path:
        return self.path / name

    def write_directory(self, name: str, fill: Callable[[Path], object]) -> Path:
        return self.path / name


class Agreed(Watcher):
    """Passes on events, and stops when the processes have agreed to: all of them after the same step."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher, self.stopping = watcher, False

    def on(self, event: Event) -> None:
        self._watcher.on(event)

    def stop(self) -> bool:
        return self.stopping

    def wishes(self) -> bool:
        """Whether this process wishes to stop."""
        return self._watcher.stop()


class ParallelTrainer(engine.Trainer):
    """A trainer that computes its share of each batch; after a step, all processes have the same variables."""

    def __init__(self, *arguments: Any, ranks: Ranks, agreed: Agreed, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ranks, self._agreed, self._fraction = ranks, agreed, 1.0
        self._statistics = [variable.value for layer in self.model.layers if hasattr(layer, "moving_mean")
                            for variable in (layer.moving_mean, layer.moving_variance)]

    def step(self, split: Loader, index: torch.Tensor, seed: int, epoch: int = 1,
             scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """A step on this process's share of the images at `index`: loss and number correct of all of them."""
        rank, share = self._ranks.rank, self._ranks.share(index)
        self._fraction = len(share) / len(index)
        own = engine.derived_seed(seed, rank) if rank else seed
        loss, hits = super().step(split, share if len(share) else index[:1], own, epoch, scale)
        told = torch.tensor([float(loss) * self._fraction, float(hits) if len(share) else 0.0,
                             float(self._agreed.wishes())], dtype=torch.float64, device=self.device)
        dist.all_reduce(told)
        self._agreed.stopping = bool(told[2])
        return told[0], told[1]

    def _update(self, gradients: list[torch.Tensor | None]) -> None:
        """Average the gradients, and the moving statistics of batch normalisation, over the images of all shares."""
        shared = [each for each in (*gradients, *self._statistics) if each is not None]
        together = torch.cat([each.detach().flatten().float() for each in shared]) * self._fraction
        dist.all_reduce(together)
        for each, mean in zip(shared, together.split([each.numel() for each in shared]), strict=True):
            each.data.copy_(mean.view_as(each))
        super()._update(gradients)

    def evaluate(self, split: Loader, batch_size: int,
                 before: Callable[[int], None] = lambda done: None) -> tuple[float, float]:
        """(cross-entropy, accuracy) on a split; each image is evaluated by one process."""
        rows = self._ranks.share(torch.from_numpy(np.arange(len(split))))
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        with torch.inference_mode(), keras.device(self.device):
            for number, part in enumerate(rows.split(batch_size) if len(rows) else ()):
                before(number * batch_size)
                logits = self._forward(engine.pixels(split.images(part)), training=False).float()
                labels = split.labels[part]
                sums[0] += F.cross_entropy(logits, labels, reduction="sum")
                sums[1] += (logits.argmax(1) == labels).sum()
        dist.all_reduce(sums)
        return float(sums[0]) / len(split), float(sums[1]) / len(split)
