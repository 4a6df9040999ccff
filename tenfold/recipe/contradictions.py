"""Settings that are valid alone and contradict each other."""

from __future__ import annotations

from tenfold.recipe.sections import Sections


def contradictions(recipe: Sections) -> list[str]:
    """One line for each contradiction: the key, what it contradicts, what to do."""
    return [*_of_schedule(recipe), *_of_backbone(recipe), *_of_logistic_regression(recipe)]


def _of_schedule(recipe: Sections) -> list[str]:
    problems, train = [], recipe.train
    watched = {"train.early_stopping.monitor": train.early_stopping, "train.plateau.monitor": train.plateau}
    if recipe.data.validation == 0:
        for key, section in watched.items():
            if section is not None and section.monitor.startswith("val_"):
                problems.append(f"{key}: {section.monitor!r} needs a validation split, and data.validation is 0; "
                                "set data.validation=0.1, say")
    if train.plateau is not None and train.schedule != "constant":
        problems.append(f"train.plateau: works on a constant learning rate, and train.schedule is "
                        f"{train.schedule!r}; set train.schedule=constant or leave out train.plateau")
    if train.warmup >= train.epochs and train.warmup > 0:
        problems.append(f"train.warmup: received {train.warmup:g} epochs of train.epochs={train.epochs}; "
                        "expected fewer than all")
    return problems


def _of_backbone(recipe: Sections) -> list[str]:
    train = recipe.train
    if recipe.model.name == "pretrained":
        if train.optimizer.name != "normalized-muon":
            return []
        return ["train.optimizer: normalized-muon sets the norm of every kernel, which undoes what a backbone has "
                "learned; use muon or adamw"]
    given = {"train.head": train.head, "train.augmented_copies": train.augmented_copies,
             "train.stage_decay": train.stage_decay < 1}
    return [f"{key}: needs a backbone, and model.name is {recipe.model.name!r}; leave it out or set "
            "model.name=pretrained" for key, value in given.items() if value]


def _of_logistic_regression(recipe: Sections) -> list[str]:
    problems: list[str] = []
    if recipe.train.fit != "logistic-regression":
        return problems
    if recipe.model.options.get("trainable") != "none":
        problems.append("train.fit: logistic-regression fits the logits on frozen features; set "
                        "model.name=pretrained and model.trainable=none")
    if recipe.train.head is not None:
        problems.append("train.head: logistic-regression trains nothing but the head; leave out train.head")
    return problems
