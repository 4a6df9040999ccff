"""Inspect labelled images: damaged files, duplicates, leaks between splits, shortcuts, suspected label errors.

`inspect` looks for all kinds of findings, one file each in `kinds`; `backbone_features` gives the features behind the
expensive ones.
"""

from tenfold.inspection.evidence import backbone_features, judged_by
from tenfold.inspection.finding import ALL, CHEAP, Finding, Needs, known_kinds
from tenfold.inspection.inspecting import Inspection, inspect

__all__ = ["ALL", "CHEAP", "Finding", "Inspection", "Needs", "backbone_features", "inspect", "judged_by", "known_kinds"]
