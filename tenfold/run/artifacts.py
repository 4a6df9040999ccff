"""The files of a run directory, and what each of them is derived from.

This table determines which files become stale: after further training, everything derived from the former model does.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.run.records import (
    Calibration,
    Corruptions,
    Decisions,
    Distilled,
    Ensemble,
    Environment,
    LearningCurve,
    Metrics,
    Record,
    Speed,
    Status,
    Times,
)


@dataclass(frozen=True)
class Artifact:
    """A file of a run, or several files of one kind.

    pattern: path in the run directory, a glob for several files; derived_from: the artifacts it is made from; record:
    class of its JSON content, None if it is not JSON; renewed_by: the arguments of `tenfold` that create it again.
    """

    pattern: str
    derived_from: tuple[str, ...] = ()
    record: type[Record] | None = None
    renewed_by: str = ""


ARTIFACTS: dict[str, Artifact] = {
    "recipe": Artifact("recipe.toml"),
    "status": Artifact("status.json", record=Status),
    "environment": Artifact("environment.json", ("recipe",), Environment),
    "data": Artifact("data/*"),
    "inspection": Artifact("inspection.json", renewed_by="data check DATA --run RUN"),
    "initial": Artifact("initial.keras"),
    "events": Artifact("events.jsonl"),
    "scored": Artifact("scored.json", record=Times),
    "check": Artifact("check.npz", ("environment",)),
    "checkpoints": Artifact("checkpoints/*", ("recipe", "environment")),
    "history": Artifact("history.csv", ("checkpoints",)),
    "model": Artifact("model.keras", ("checkpoints",)),
    "h5": Artifact("model.h5", ("model",)),
    "predictions": Artifact("predictions/*", ("model",), renewed_by="evaluate RUN"),
    "metrics": Artifact("metrics.json", ("predictions",), Metrics, "evaluate RUN"),
    "speed": Artifact("inference.json", ("model",), Speed, "evaluate RUN"),
    "calibration": Artifact("calibration.json", ("predictions",), Calibration, "evaluate RUN --calibrate"),
    "decisions": Artifact("decisions.json", ("model", "calibration"), Decisions, "calibrate RUN"),
    "exports": Artifact("exports/*", ("model", "calibration", "decisions"), renewed_by="export RUN FORMAT"),
    "corruptions": Artifact("corruptions.json", ("model",), Corruptions, "evaluate RUN --corruptions"),
    "learning_curve": Artifact("learning_curve.json", ("model",), LearningCurve, "try DATA"),
    "distillation": Artifact("distillation.json", ("predictions",), Distilled),
    "ensemble": Artifact("ensemble.json", ("model",), Ensemble),
    "explanations": Artifact("explanations/*/*", ("model", "predictions"), renewed_by="explain RUN"),
    "bench": Artifact("bench/*", ("model",), renewed_by="bench RUN"),
    "drift": Artifact("drift/*", ("model", "predictions"), renewed_by="drift RUN IMAGES"),
    "next": Artifact("next/*", ("model",), renewed_by="next RUN IMAGES"),
    "plots": Artifact("plots/*", ("history", "metrics", "calibration", "decisions", "corruptions", "learning_curve"),
                      renewed_by="evaluate RUN"),
    "report": Artifact("report.html", ("plots", "speed", "ensemble", "distillation"), renewed_by="evaluate RUN"),
    "card": Artifact("MODEL_CARD.md", ("metrics", "speed", "decisions"), renewed_by="evaluate RUN"),
}


def stale_after(changed: str) -> tuple[str, ...]:
    """The patterns of all artifacts derived, directly or indirectly, from the one that changed."""
    stale: set[str] = set()
    for name, artifact in ARTIFACTS.items():  # each artifact comes after those it is derived from
        if stale.union({changed}) & set(artifact.derived_from):
            stale.add(name)
    return tuple(ARTIFACTS[name].pattern for name in ARTIFACTS if name in stale)
