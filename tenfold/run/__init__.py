"""Run directories: a training writes one, and everything that follows reads only that."""

from tenfold.run.artifacts import ARTIFACTS, Artifact, stale_after
from tenfold.run.directory import Run
from tenfold.run.exports import model_at
from tenfold.run.naming import ELSEWHERE, FOLDS_FILE, check_name, check_root, make_numbered, numbers
from tenfold.run.records import Environment, Metrics, Record, SplitRecord, State, Status

__all__ = ["ARTIFACTS", "ELSEWHERE", "FOLDS_FILE", "Artifact", "Environment", "Metrics", "Record", "Run", "SplitRecord",
           "State", "Status", "check_name", "check_root", "make_numbered", "model_at", "numbers", "stale_after"]
