"""How much of a teacher does a student keep, and must the teacher see the augmented images?

    python -m benchmarks.distillation [--seeds 3] [--images 5000] [--epochs 20] [--runs DIR] [--json FILE]

CIFAR-10, trained on `--images` images, tested on 10,000 other training images. The teacher is the ensemble of three
`cnn2` with shifted and mirrored images. Students, `cnn2` as well, learn with as many epochs from the labels alone; from
the teacher's probabilities of the plain images, computed once; and from those of the augmented images of every step.
With `--runs`, an interrupted comparison continues from the runs in that directory.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import tenfold
from benchmarks import record
from benchmarks.side_by_side import log
from tenfold import comparison
from tenfold.recipe import Recipe
from tenfold.run import Run, State

IMAGES = "cifar10/plain_text/train-*.parquet"  # in TENFOLD_DATA
MEMBERS, TEST, VALIDATION = 3, 10_000, 1000
STUDENTS: dict[str, bool | None] = {"labels": None, "plain": False, "augmented": True}


def recipe(name: str, arguments: argparse.Namespace, seed: int, **train: Any) -> Recipe:
    """`cnn2` on a few images."""
    return Recipe.from_dict({
        "data": {"source": f"parquet:{Path(os.environ['TENFOLD_DATA']) / IMAGES}", "group": "none", "test": TEST,
                 "validation": VALIDATION, "train_size": arguments.images},
        "model": {"name": "cnn", "filters": [32, 64], "dense": [128]},
        "train": {"epochs": arguments.epochs, "batch_size": 128, "learning_rate": 2e-3, "schedule": "one-cycle",
                  "augment": {"mirror": {}, "translate": {"pixels": 4}}, "seed": seed, **train}}, name=name)


def students(arguments: argparse.Namespace, teacher: Run) -> dict[str, list[Run]]:
    """The runs of each kind of student, one for each seed."""
    made: dict[str, list[Run]] = {}
    for seed in range(MEMBERS, MEMBERS + arguments.seeds):
        for name, augmented in STUDENTS.items():
            distillation = None if augmented is None else {"teacher": str(teacher.path.absolute()),
                                                           "augmented": augmented}
            taught = {} if distillation is None else {"distillation": distillation}
            made.setdefault(name, []).append(
                tenfold.train(recipe(name, arguments, seed, **taught), runs=arguments.runs, name=name, resume=True))
            log(f"{name}, seed {seed}: {_accuracy(made[name][-1]):.4f}")
    return made


def _accuracy(run: Run) -> float:
    return float(run.metrics()["test"]["accuracy"]["value"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The accuracy of the teacher and of each kind of student, the part that is kept, and the paired differences."""
    members = [tenfold.train(recipe("member", arguments, seed), runs=arguments.runs, name="member", resume=True)
               for seed in range(MEMBERS)]
    known = [run for run in Run.list(arguments.runs)
             if run.recipe().model.name == "ensemble" and run.status().state == State.FINISHED]
    teacher = known[-1] if known else tenfold.ensemble(members, runs=arguments.runs, name="teacher")
    log(f"teacher: {_accuracy(teacher):.4f}")
    made = students(arguments, teacher)
    found = {}
    for name, runs in made.items():
        row = comparison.over_seeds(runs)
        assert row is not None
        found[name] = {"accuracy": row.metrics["accuracy"], "by_seed": [_accuracy(run) for run in runs],
                       "kept": row.metrics["accuracy"]["value"] / _accuracy(teacher), "seconds": row.seconds}
    board = comparison.compare([run for runs in made.values() for run in runs], by="accuracy")
    return {"teacher": _accuracy(teacher), "members": [_accuracy(run) for run in members], "students": found,
            "differences": [{"first": pair.first, "second": pair.second, **pair.differences["accuracy"]}
                            for pair in board.pairs]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=record.positive, default=3)
    parser.add_argument("--images", type=record.positive, default=5000)
    parser.add_argument("--epochs", type=record.positive, default=20)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments.runs = arguments.runs or Path(folder)
        record.write(arguments.json, {**record.origin(), "results": measure(arguments)})


if __name__ == "__main__":
    main()
