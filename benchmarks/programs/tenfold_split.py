"""A recipe trained by `tenfold.train` on images of a `.npy` file, mapped or read into memory: images/s, memory.

Anonymous memory is what a process holds besides pages of files, which the system takes back when it needs room. It
is looked at twenty times a second (`RssAnon` of `/proc/self/status`); a process that holds more than `--limit` ends.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

import tenfold
from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.recipe import Recipe

CLASSES = tuple("0123456789")
STATUS = Path("/proc/self/status")


class AnonymousMemory(threading.Thread):
    """Watches the anonymous memory of this process, and ends it above `limit` MiB (None: none)."""

    def __init__(self, limit: float | None) -> None:
        super().__init__(daemon=True)
        self.peak, self.limit = 0.0, limit
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.05):
            self.look()

    def look(self) -> None:
        line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("RssAnon"))
        self.peak = max(self.peak, int(line.split()[1]) / 1024)
        if self.limit and self.peak > self.limit:
            print(f"holds {self.peak:,.0f} MiB; expected at most {self.limit:,.0f}", file=sys.stderr, flush=True)
            os._exit(1)

    def end(self) -> float:
        """Look a last time; the peak in MiB."""
        self._ended.set()
        self.join()
        self.look()
        return self.peak


def split(folder: Path, name: str, mapped: bool) -> Split:
    """The images and labels that `large_split` has written."""
    images = np.load(folder / f"{name}-images.npy", mmap_mode="r" if mapped else None)
    return Split(images, np.load(folder / f"{name}-labels.npy"), Provenance("random pixels"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("train", help="name of the training split")
    parser.add_argument("--mapped", action="store_true", help="leave the images in their files")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--limit", type=float, metavar="GIB", help="anonymous memory that it may hold")
    arguments = parser.parse_args()
    memory = AnonymousMemory(arguments.limit and 1024 * arguments.limit)
    memory.start()
    held = {name: split(arguments.folder, "held", arguments.mapped) for name in ("validation", "test")}
    train = split(arguments.folder, arguments.train, arguments.mapped)
    data = Dataset("random", "random", CLASSES, train=train, **held)
    recipe = Recipe.load(arguments.recipe, {"train.epochs": arguments.epochs})
    with tempfile.TemporaryDirectory() as runs:
        run = tenfold.train(recipe, data, runs=runs)
        rates = [record["images_per_second"] for record in run.history()]
        environment = run.environment()
    print(json.dumps({
        "images_per_second": round(statistics.median(rates), 1), "epochs": rates, "images": len(data.train),
        "anonymous_mib": round(memory.end(), 1), "threads": environment["threads"],
        "precision": environment["precision"], "versions": environment["versions"],
    }))


if __name__ == "__main__":
    main()
