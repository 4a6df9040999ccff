"""Decisions of the training loop as pure functions of the recipe, the step and the records so far.

A record maps the names of one epoch's values (`loss`, `val_loss`, …) to numbers. The records are the only state, so
a resumed training makes the same decisions as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tenfold.recipe import EarlyStopping, Plateau, TrainSection

Record = Mapping[str, float]


# -- the learning rate of a step -----------------------------------------------------------------------


def constant(progress: float) -> float:
    """Always 1."""
    return 1.0


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov & Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def linear_decay(progress: float) -> float:
    """A straight line from 1 to 0."""
    return 1 - progress


def one_cycle(progress: float) -> float:
    """From 1/25 to 1 in the first 30 %, then to 4e-6, both along half a cosine (Smith & Topin 2018)."""
    start, end, peak = 1 / 25, 1 / 25e4, 0.3
    if progress < peak:
        return 1 + (start - 1) * cosine(progress / peak)
    return end + (1 - end) * cosine((progress - peak) / (1 - peak))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant, "cosine": cosine, "one-cycle": one_cycle, "linear-decay": linear_decay,
}


def learning_rate(section: TrainSection, step: int, steps_per_epoch: int) -> float:
    """The scheduled learning rate of a step (from 0), before any reduction on plateau.

    It rises linearly to the peak during the `warmup` epochs; the schedule covers the remaining steps.
    """
    warmup = round(section.warmup * steps_per_epoch)
    if step < warmup:
        return section.learning_rate * (step + 1) / warmup
    remaining = section.epochs * steps_per_epoch - warmup
    progress = (step - warmup) / max(remaining - 1, 1)
    return section.learning_rate * SCHEDULES[section.schedule](min(progress, 1.0))


def image_scale(section: TrainSection, epoch: int) -> float:
    """The factor by which an epoch (from 1) resizes the sides of its images.

    Progressive resizing trains on small images first (Howard 2018, in DAWNBench; Tan & Le 2021, "EfficientNetV2",
    section 4). The list is spread over the epochs of the recipe; the last epoch uses the last value.
    """
    scales = section.image_scales
    return scales[-(-epoch * len(scales) // section.epochs) - 1] if scales else 1.0


# -- decisions after an epoch ----------------------------------------------------------------------------


def improves(value: float, best: float | None, monitor: str, min_delta: float) -> bool:
    """Whether `value` is better than `best` by more than `min_delta`: higher for accuracies, lower for losses.

    Values are compared in float32, as in Keras' callbacks, so that ties are the same.
    """
    if best is None:
        return True
    if monitor.endswith("accuracy"):
        return bool(np.float32(value - min_delta) > np.float32(best))
    return bool(np.float32(value + min_delta) < np.float32(best))


def best_epoch(records: Sequence[Record], monitor: str, min_delta: float = 0.0, start: int = 0) -> int | None:
    """The index (from 0) of the last epoch that improves on the earlier best by more than `min_delta`."""
    best, index = None, None
    for i, record in enumerate(records):
        if i >= start and monitor in record and improves(record[monitor], best, monitor, min_delta):
            best, index = record[monitor], i
    return index


def stops_early(records: Sequence[Record], rule: EarlyStopping) -> bool:
    """Whether `keras.callbacks.EarlyStopping` would stop after the last record."""
    best = best_epoch(records, rule.monitor, rule.min_delta, rule.start_from_epoch)
    last = len(records) - 1
    return best is not None and last > best and last - best >= rule.patience


def plateau_learning_rate(records: Sequence[Record], rule: Plateau, initial: float) -> float:
    """The learning rate that `keras.callbacks.ReduceLROnPlateau` would set after the last record."""
    rate, best, wait, cooldown = initial, None, 0, 0
    for record in records:
        value = record[rule.monitor]
        if cooldown > 0:
            cooldown, wait = cooldown - 1, 0
        if improves(value, best, rule.monitor, rule.min_delta):
            best, wait = value, 0
        elif cooldown == 0:
            wait += 1
            if wait >= rule.patience and np.float32(rate) > np.float32(rule.min_lr):
                rate, cooldown, wait = max(rate * rule.factor, rule.min_lr), rule.cooldown, 0
    return rate
