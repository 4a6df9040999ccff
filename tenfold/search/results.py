"""The results of a search: its trials as rows, its best recipe, and `search.json`, which readers can follow."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tenfold.counted import counted
from tenfold.errors import RunError
from tenfold.evaluation.metrics import metric
from tenfold.recipe import Recipe
from tenfold.report.search import page
from tenfold.run import ELSEWHERE
from tenfold.search.importance import importance
from tenfold.search.plan import FILE as PLAN
from tenfold.search.trials import Trials
from tenfold.storage.files import write_whole
from tenfold.storage.locks import locked

FILE = "search.json"
BEST = "best.toml"
PAGE = "search.html"
NUMBER = re.compile(r"\d[\d,.]*(e[+-]?\d+)?")


def rows(trials: Trials) -> list[dict[str, Any]]:
    """The trials by number, as plain values.

    Each has "number" (from 1), "status" (waiting, running, finished, pruned, diverged or failed), "value" (the metric
    on the validation split, or its mean over the folds; None unless finished), "seconds", "epochs", "curve" (the
    monitored validation record of each epoch, with folds of the first), "changes" (recipe key → value), "reason" and
    "run".
    """
    return [_row(trials, trial) for trial in trials.all()]


def _row(trials: Trials, trial: FrozenTrial) -> dict[str, Any]:
    status = trial.user_attrs.get("status")
    if trial.state in (TrialState.RUNNING, TrialState.WAITING):
        status = "running" if trials.is_running(trial) else "waiting"
    finished = trial.state is TrialState.COMPLETE
    path = trials.path_of(trial)
    changes = {key: json.loads(value) if trials.space.ranges[key].choices is not None else value
               for key, value in trial.params.items()}
    return {"number": trial.number + 1, "status": status, "value": trial.value if finished else None,
            "seconds": trial.user_attrs.get("seconds"), "epochs": len(trial.intermediate_values),
            "curve": [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)],
            "changes": changes, "reason": trial.user_attrs.get("reason") or "",
            "run": f"trials/{path.name}" if path.is_dir() else None}


def best_of(found: Sequence[Mapping[str, Any]], by: str) -> dict[str, Any] | None:
    """The finished trial with the best value, the first of equals; None without a finished trial."""
    finished = [row for row in found if row["status"] == "finished"]
    sign = -1 if metric(by).higher_is_better else 1
    return dict(min(finished, key=lambda row: (sign * row["value"], row["number"]))) if finished else None


def commonest_reason(found: Sequence[Mapping[str, Any]]) -> str:
    """Why trials ended without a value: the most frequent reason, and how many trials had it.

    Reasons that differ in their numbers alone, such as the epoch, are one: the first of them is shown.
    """
    kinds = [NUMBER.sub("0", row["reason"]) for row in found]
    (kind, count), = Counter(kinds).most_common(1)
    return f"{found[kinds.index(kind)]['reason']} ({count} of {counted(len(found), 'trial')})"


def write(trials: Trials, verdict: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write `search.json` and the best recipe so far as `best.toml`; return the content of the former.

    verdict: what `winner.judge` says of the best recipe; None: keep the one in the file.
    """
    with locked(trials.folder / ".results.lock", advice=ELSEWHERE):
        _remove_unfinished(trials.folder, FILE, BEST)
        found = rows(trials)
        best = best_of(found, trials.plan.by)
        plan = trials.plan
        content = {"name": trials.folder.name, "recipe": plan.start.name, "by": plan.by, "sampler": plan.sampler,
                   "pruner": plan.pruner, "seed": plan.seed, "folds": plan.folds, "space": dict(plan.space),
                   "monitor": plan.monitor, "start": plan.ranges.own(plan.start), "trials": found, "best": best,
                   "winner": verdict or (read(trials.folder) or {}).get("winner")}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_whole(trials.folder / FILE, text, ELSEWHERE)
        if best is not None:
            head = (f"# The best of {counted(len(found), 'trial')} that began from {plan.start.name} "
                    f"({trials.folder.name}, trial {best['number']}),\n# chosen by {plan.by} {plan.chosen_on}: "
                    f"{best['value']:.6g}.\n\n")
            recipe, kept = tuned(trials, best), trials.data
            recipe = recipe if kept is None else recipe.replace({"data.source": kept})  # of images given in Python
            write_whole(trials.folder / BEST, head + recipe.dumps(), ELSEWHERE)
    return dict(json.loads(text))


def refresh_page(folder: Path, results: Mapping[str, Any], seconds: float) -> None:
    """Write the page of a running search, unless that was done less than so many seconds ago, or it just began."""
    newest = max((path.stat().st_mtime for path in (folder / PLAN, folder / PAGE) if path.is_file()), default=0.0)
    if time.time() - newest >= seconds:
        write_page(folder, results)


def page_is_current(folder: Path) -> bool:
    """Whether the page of a search is there, and not older than its results."""
    page, results = folder / PAGE, folder / FILE
    return page.is_file() and page.stat().st_mtime_ns >= results.stat().st_mtime_ns


def write_page(folder: Path, results: Mapping[str, Any]) -> None:
    """Write the page of a search. While it runs, the page loads itself again and again."""
    recipe = (folder / BEST).read_text(encoding="utf-8") if (folder / BEST).is_file() else ""
    text = page({**results, "importance": importance(results)}, recipe)
    with locked(folder / ".page.lock", advice=ELSEWHERE):
        _remove_unfinished(folder, PAGE)
        write_whole(folder / PAGE, text, ELSEWHERE)


def _remove_unfinished(folder: Path, *names: str) -> None:
    """Remove the files of processes that were killed while they wrote them; the caller holds the lock of these files.
    """
    for left in (path for name in names for path in folder.glob(f".*-{name}")):
        left.unlink(missing_ok=True)


def tuned(trials: Trials, best: Mapping[str, Any]) -> Recipe:
    """The recipe of a trial, named after the one that the search began from."""
    tree = trials.start.replace(best["changes"]).to_dict()
    return Recipe.from_dict(tree | {"name": f"{trials.start.name}-tuned"})


def read(folder: Path) -> dict[str, Any] | None:
    """The content of `search.json` in a directory; None if there is none. Raises RunError if it is damaged."""
    path = folder / FILE
    with contextlib.suppress(FileNotFoundError):
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise RunError(f"{path}: damaged ({error}); remove it and repeat the command") from None
    return None
