"""Compare a run with the one it was made from: an ensemble with its best member, a student with its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import RunError
from tenfold.evaluation.predictions import read_predictions
from tenfold.evaluation.statistics import accuracy_change, mcnemar
from tenfold.run import Run

TEST = "predictions/test.parquet"


def judge(run: Run) -> None:
    """Add the comparison on the test split to an ensemble's `ensemble.json`; write a student's `distillation.json`."""
    if run.has("ensemble.json"):
        found = run.ensemble()
        best = Run(Path(next(member for member in found["members"] if member["best"])["run"]))
        test = None if found.get("folds") else compared(run, best)  # the folds were tested on other images
        run.write_json("ensemble.json", {**found, "test": test})
    environment = run.environment()
    if "teacher" in environment:
        teacher = Run(Path(environment["teacher"]["run"]))
        theirs = teacher.environment()
        tests = [each.splits.get("test") for each in (environment, theirs)]
        same = [None if test is None else test.get("fingerprint") for test in tests]
        run.write_json("distillation.json", {
            "teacher": str(teacher.path), "parameters": environment["model"].get("parameters"),
            "teacher_parameters": theirs.get("model", {}).get("parameters"),
            "same_data": environment.fingerprint == theirs.fingerprint,
            "test": compared(run, teacher) if same[0] == same[1] else None})


def compared(run: Run, other: Run) -> dict[str, Any] | None:
    """How a run's accuracy on its test split differs from that of another run on the same images; None without both.

    "accuracy" and "other" are fractions of the "images"; "change", "low" and "high" are their difference with its
    paired 95 % interval; "p" is from McNemar's test.
    """
    if not (run.has(TEST) and other.has(TEST)):
        return None
    labels, mine = read_predictions(run, "test")
    known, theirs = read_predictions(other, "test")
    if not np.array_equal(labels, known):
        raise RunError(f"{other.path}: its test predictions are of other images than those of {run.path}; score both "
                       "again with `tenfold evaluate`")
    points, (low, high) = accuracy_change(labels, theirs, mine)
    right, before = mine.argmax(axis=1) == labels, theirs.argmax(axis=1) == labels
    return {"images": len(labels), "accuracy": float(right.mean()), "other": float(before.mean()),
            "change": points / 100, "low": low / 100, "high": high / 100, "p": mcnemar(before, right)}
