"""Settings that are valid alone but contradict each other."""

from __future__ import annotations

from tenfold.counted import are
from tenfold.recipe.sections import Sections


def contradictions(recipe: Sections) -> list[str]:
    """One line for each contradiction: the key, the contradicting setting, what to do."""
    return [*_in_folds(recipe), *_in_schedule(recipe), *_in_backbone(recipe), *_in_logistic_regression(recipe),
            *_in_distillation(recipe)]


def _in_folds(recipe: Sections) -> list[str]:
    count, number = recipe.data.folds or 1, recipe.data.fold
    if number <= count:
        return []
    return [f"data.fold: received {number}, but data.folds is {recipe.data.folds or 'none'}; expected 1 to {count}"]


def _in_schedule(recipe: Sections) -> list[str]:
    problems, train = [], recipe.train
    watched = {"train.early_stopping.monitor": train.early_stopping, "train.plateau.monitor": train.plateau}
    if recipe.data.validation == 0:
        for key, section in watched.items():
            if section is not None and section.monitor.startswith("val_"):
                problems.append(f"{key}: {section.monitor!r} needs a validation split, but data.validation is 0; "
                                "set it, as in data.validation=0.1")
    if train.plateau is not None and train.schedule != "constant":
        problems.append(f"train.plateau: needs a constant learning rate, but train.schedule is "
                        f"{train.schedule!r}; set train.schedule=constant or leave out train.plateau")
    if train.warmup >= train.epochs and train.warmup > 0:
        problems.append(f"train.warmup: received {train.warmup:g} "
                        f"{are(train.warmup, 'epoch', 'epochs')}; expected fewer than train.epochs={train.epochs}")
    return problems


def _in_backbone(recipe: Sections) -> list[str]:
    train = recipe.train
    if recipe.model.name == "pretrained":
        if train.optimizer.name != "normalized-muon":
            return []
        return ["train.optimizer: normalized-muon sets the norm of every kernel, which destroys pretrained weights; "
                "use muon or adamw"]
    given = {"train.head": train.head, "train.augmented_copies": train.augmented_copies,
             "train.stage_decay": train.stage_decay < 1}
    return [f"{key}: needs a backbone, but model.name is {recipe.model.name!r}; leave it out or set "
            "model.name=pretrained" for key, value in given.items() if value]


def _in_logistic_regression(recipe: Sections) -> list[str]:
    problems: list[str] = []
    if recipe.train.fit != "logistic-regression":
        return problems
    if recipe.model.options.get("trainable") != "none":
        problems.append("train.fit: logistic-regression fits the logits on frozen features; set "
                        "model.name=pretrained and model.trainable=none")
    if recipe.train.head is not None:
        problems.append("train.head: logistic-regression already trains only the head; leave out train.head")
    return problems


def _in_distillation(recipe: Sections) -> list[str]:
    distillation, problems = recipe.train.distillation, list[str]()
    if distillation is None:
        return problems
    if recipe.train.fit == "logistic-regression":
        problems.append("train.distillation: logistic-regression learns from labels alone; leave it out or set "
                        "train.fit=gradient-descent")
    if "mixup" in recipe.train.augment and not distillation.augmented:
        problems.append("train.distillation: mixup blends images, which the teacher's stored logits do not fit; set "
                        "train.distillation.augmented=true or train.augment.mixup=false")
    if distillation.augmented and (recipe.train.head is not None or recipe.model.options.get("trainable") == "none"):
        problems.append("train.distillation.augmented: the teacher needs the images of each step, but logits are "
                        "trained on cached features; set train.distillation.augmented=false, or leave out train.head "
                        "and train more than the logits")
    return problems
