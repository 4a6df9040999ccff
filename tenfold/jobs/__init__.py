"""Jobs: train a recipe into a run directory (fit → validate → finish), resume a run, evaluate it
again, export it, average several."""

from tenfold.jobs.calibrating import calibrate
from tenfold.jobs.checking import check, check_sections
from tenfold.jobs.ensembling import ensemble
from tenfold.jobs.evaluating import evaluate
from tenfold.jobs.exploring import explore
from tenfold.jobs.exporting import check_format, export
from tenfold.jobs.resuming import resume
from tenfold.jobs.training import in_folds, probe, probe_sections, seeds, train
from tenfold.jobs.trying import try_images, try_sections

__all__ = [
    "calibrate", "check", "check_format", "check_sections", "ensemble", "evaluate", "explore", "export", "in_folds",
    "probe", "probe_sections", "resume", "seeds", "train", "try_images", "try_sections",
]
