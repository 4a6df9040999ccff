"""Exports: the model of a run in other formats, each checked against its source before it gets its final name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import RunError, UsageError
from tenfold.export.parity import Agreement, check
from tenfold.export.source import MODEL, Source
from tenfold.run import Run, State
from tenfold.run.exports import FOLDER
from tenfold.runtimes.exported import KEY
from tenfold.runtimes.exported import facts_beside as facts_beside
from tenfold.runtimes.exported import measured as measured
from tenfold.storage.files import write_directory, write_whole

if TYPE_CHECKING:
    from tenfold.export.check_images import CheckImages
    from tenfold.export.formats import Format

ADVICE = "write elsewhere (--out PATH)"  # if an export can't be written


@dataclass(frozen=True)
class Export:
    """An exported model: its path, the JSON file beside it, its size in bytes, and how it agrees with its source."""

    path: Path
    facts: Path
    size: int
    agreement: Agreement

    def to_dict(self) -> dict[str, Any]:
        return {"path": str(self.path), "facts": str(self.facts), "bytes": self.size, **self.agreement.to_dict()}


def check_run(run: Run) -> None:
    """Raise RunError if a run has no model, or only that of a training that diverged."""
    if not run.has(MODEL):
        raise RunError(f"{run.path}: the run has no {MODEL} (its status is {run.status().state.value!r}); expected a "
                       "finished run")
    if run.status().state is State.DIVERGED:
        raise RunError(f"{run.path}: the training diverged, so its model is of no use; train again with a lower "
                       "learning rate")


def target(run: Run, known: Format, out: str | Path | None, int8: bool = False) -> Path:
    """The path of an export. Raises UsageError for an `out` with another suffix, or a folder of something else."""
    name = f"model.int8{known.suffix}" if int8 else f"model{known.suffix}"
    if out is None:
        return run.path / FOLDER / name
    path = Path(out)
    if path.suffix != known.suffix and path.is_dir():
        return path / name
    if path.suffix != known.suffix or (not known.folder and path.is_dir()) or (known.folder and path.is_file()):
        raise UsageError(f"out: received {path}; expected {'a folder' if known.folder else 'a file'} whose name ends "
                         f"in {known.suffix}, or an existing folder")
    if known.folder and path.is_dir() and any(path.iterdir()) and not (path / known.folder).is_file():
        raise UsageError(f"out: received {path}, a folder with other files, which the export would replace; expected "
                         f"a new name, or an earlier export with {known.folder} inside")
    return path


def export_source(source: Source, known: Format, path: Path, kept: CheckImages, quick: bool = False) -> Export:
    """Write a source in a format to `path`, after checking it against `model.keras` on the kept images.

    `quick`: check it in batches of up to 64 images instead of 512.

    Raises UsageError for a layer that the format does not know; MissingExtraError; ExportError if the exported model
    disagrees; StorageError. Nothing is left then.
    """

    def make(temporary: Path) -> tuple[Source, Agreement]:
        known.write(source, temporary)
        return source, check(source, known.read(temporary), kept, quick)

    return publish(known, path, make)


def publish(known: Format, path: Path, make: Callable[[Path], tuple[Source, Agreement]]) -> Export:
    """Write a model and the JSON file with its facts beside it, unless `make` raises an error.

    make: writes the model to a temporary path and returns what it holds and how it agrees with its source.
    """
    found: list[tuple[Source, Agreement]] = []

    def fill(temporary: Path) -> None:
        found.append(make(temporary))
        beside.unlink(missing_ok=True)  # the facts of a former model there, whose hash is another

    beside = facts_beside(path)
    (write_directory if known.folder else write_whole)(path, fill, ADVICE)
    source, agreement = found[0]
    try:
        size, digest = measured(path)
        text = json.dumps({KEY: {**source.facts, "file": path.name, "bytes": size, "sha256": digest,
                                 "agreement": agreement.to_dict()}}, indent=2, ensure_ascii=False) + "\n"
        write_whole(beside, text, ADVICE)
    except BaseException:  # a signal too: no model stays without its facts, and no facts of a former model
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        beside.unlink(missing_ok=True)
        raise
    return Export(path, beside, size, agreement)
