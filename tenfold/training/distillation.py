"""Distillation: learn the probabilities of a finished run, the teacher, beside the labels (Hinton et al. 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tenfold import modelfile
from tenfold.data.dataset import Dataset
from tenfold.errors import RunError, UsageError
from tenfold.machine import configure
from tenfold.models import twin
from tenfold.models.inference import Compute, compiled
from tenfold.progress import Watcher
from tenfold.recipe import Distillation, TrainSection
from tenfold.run import Run, State
from tenfold.training import engine, features


class Teacher:
    """The teacher of a training.

    Its logits are those that `stored` has for the plain images, float32 [n, classes], or else those that `network`
    computes for the images of the step, enlarged to `size`. With soft targets, the loss is (1 - weight) × that of the
    labels + weight × temperature² × the cross-entropy of the softened probabilities.
    """

    def __init__(self, section: Distillation, stored: torch.Tensor | None, network: Compute | None,
                 size: tuple[int, int]) -> None:
        self._section, self._stored, self._network, self._size = section, stored, network, size

    def loss(self, labels: torch.Tensor, logits: torch.Tensor, index: torch.Tensor, images: torch.Tensor,
             ) -> torch.Tensor:
        """See `engine.Teacher`."""
        weight, temperature = self._section.weight, self._section.temperature
        with torch.no_grad():
            softened = torch.softmax(self._logits(index, images) / temperature, dim=1)
        soft = F.cross_entropy(logits / temperature, softened.to(logits.device))
        return (1 - weight) * labels + weight * temperature**2 * soft

    def _logits(self, index: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        if self._network is not None:
            if images.shape[2:] != self._size:  # the training images are smaller at first
                images = F.interpolate(images, size=self._size, mode="bilinear")
            return self._network(images)
        assert self._stored is not None
        return self._stored[(index % len(self._stored)).to(self._stored.device)]  # cached copies follow the images


def check(section: Distillation, dataset: Dataset) -> None:
    """Raise UsageError or RunError if a teacher can't teach a data set."""
    run = Run.open(section.teacher)
    state = run.status().state
    if not run.has("model.keras") or state is not State.FINISHED:
        raise RunError(f"{run.path}: can't be a teacher, because its status is {state.value!r}; expected a finished "
                       "run: finish it with `tenfold resume`")
    environment = run.environment()
    for what, ours, theirs in (("classes", dataset.classes, environment.classes),
                               ("image shape", dataset.shape, environment.shape)):
        if ours != theirs:
            raise UsageError(f"train.distillation.teacher: {run.path} has other {what} than the data set "
                             f"({', '.join(map(str, theirs))}, not {', '.join(map(str, ours))}); expected the same, in "
                             "the same order")


def origin(section: Distillation | None) -> dict[str, Any]:
    """The teacher for `environment.json`: its run, and the fingerprint of its model; empty without a teacher."""
    if section is None:
        return {}
    path = Run.open(section.teacher).path
    return {"teacher": {"run": str(path.absolute()), "model": modelfile.fingerprint(path / "model.keras")}}


def teacher(section: TrainSection, dataset: Dataset, watcher: Watcher) -> Teacher:
    """The teacher of a recipe for a prepared data set.

    Its logits of the training images are computed once and cached, as features are. With `augmented`, it computes the
    images of every step instead.
    """
    chosen = section.distillation
    assert chosen is not None
    device, run = configure(section.precision).device, Run.open(chosen.teacher)
    network = twin(run.recipe().model if run.has("recipe.toml") else None, modelfile.load(run.path / "model.keras"))
    if chosen.augmented:
        engine.move(network.variables, device)
        return Teacher(chosen, None, compiled(network), dataset.shape[:2])
    watcher.notice(f"the teacher {run.path}: its logits of the training images")
    found = features.extract(network, features.network_key(network), dataset.train, features.View(), watcher,
                             dataset.uri)
    return Teacher(chosen, torch.from_numpy(np.array(found)).to(device), None, dataset.shape[:2])
