"""The one table of what a run directory holds, and of what each file is derived from.

What is stale after a change follows from it: when a model is trained further, everything that was derived from the
model before no longer holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.run.records import Calibration, Corruptions, Environment, Metrics, Record, Speed, Status


@dataclass(frozen=True)
class Artifact:
    """A file of a run, or several of one kind.

    pattern: its path in the run, a glob for several files; derived_from: the artifacts it was made of; record: how its
    JSON is read, None where it is no JSON; renewed_by: the command that makes it again, after `tenfold`.
    """

    pattern: str
    derived_from: tuple[str, ...] = ()
    record: type[Record] | None = None
    renewed_by: str = ""


ARTIFACTS: dict[str, Artifact] = {
    "recipe": Artifact("recipe.toml"),
    "status": Artifact("status.json", record=Status),
    "environment": Artifact("environment.json", ("recipe",), Environment),
    "events": Artifact("events.jsonl"),
    "scored": Artifact("scored.json"),
    "checkpoints": Artifact("checkpoints/*", ("recipe", "environment")),
    "history": Artifact("history.csv", ("checkpoints",)),
    "model": Artifact("model.keras", ("checkpoints",)),
    "h5": Artifact("model.h5", ("model",)),
    "predictions": Artifact("predictions/*", ("model",), renewed_by="evaluate RUN"),
    "metrics": Artifact("metrics.json", ("predictions",), Metrics, "evaluate RUN"),
    "speed": Artifact("inference.json", ("model",), Speed, "evaluate RUN"),
    "calibration": Artifact("calibration.json", ("predictions",), Calibration, "evaluate RUN --calibrate"),
    "corruptions": Artifact("corruptions.json", ("model",), Corruptions, "evaluate RUN --corruptions"),
    "explanations": Artifact("explanations/*/*", ("model", "predictions"), renewed_by="explain RUN"),
    "plots": Artifact("plots/*", ("history", "metrics", "calibration", "corruptions"), renewed_by="evaluate RUN"),
    "report": Artifact("report.html", ("plots", "speed"), renewed_by="evaluate RUN"),
    "card": Artifact("MODEL_CARD.md", ("metrics", "speed"), renewed_by="evaluate RUN"),
}


def stale_after(changed: str) -> tuple[str, ...]:
    """The patterns of all artifacts that were derived, directly or not, from one that changes."""
    stale: set[str] = set()
    for name, artifact in ARTIFACTS.items():  # in an order in which each comes after what it is derived from
        if stale.union({changed}) & set(artifact.derived_from):
            stale.add(name)
    return tuple(ARTIFACTS[name].pattern for name in ARTIFACTS if name in stale)
