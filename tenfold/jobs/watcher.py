"""Who is told how a job goes."""

from __future__ import annotations

from tenfold.recipe import Recipe
from tenfold.run import Run


class Watcher:
    """Is told how the job goes; override what you want to show. Does nothing by itself."""

    def log(self, message: str) -> None:
        """A line worth knowing: a partial split, a download, a finished step."""

    def start(self, recipe: Recipe, run: Run, steps: int) -> None:
        """Training begins: at most `recipe.train.all_epochs` epochs, of `steps` steps in the last phase."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """A step of an epoch (both from 1) is done."""

    def epoch(self, record: dict[str, float]) -> None:
        """An epoch is done."""

    def fetched(self, done: int, total: int | None) -> None:
        """Bytes of a download so far, of how many."""
