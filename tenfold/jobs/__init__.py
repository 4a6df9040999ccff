"""Jobs: recipe + data → fit → validate → finish, which leaves one run directory; and what is done with it later."""

from tenfold.jobs.evaluating import evaluate
from tenfold.jobs.resuming import resume
from tenfold.jobs.training import probe, probe_sections, seeds, train

__all__ = ["evaluate", "probe", "probe_sections", "resume", "seeds", "train"]
