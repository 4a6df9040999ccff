"""Predict more images than memory holds: block by block into parquet files, by several processes or on Ray.

A block is a number of image files, or of rows of a table. Its predictions are one file, written whole, so
an interrupted prediction continues with the blocks that have none.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tenfold.counted import are, counted
from tenfold.data.encoded_table import WITHOUT_LABELS, open_table, reading
from tenfold.data.encoded_table import unlabelled as encoded
from tenfold.data.given.unlabelled import ENCODED, TABLES, in_rows
from tenfold.data.images import image_files, printable
from tenfold.data.own.table import unlabelled
from tenfold.errors import RunError, UsageError
from tenfold.jobs import executors
from tenfold.prediction import Classifier
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.run import Run, model_at
from tenfold.runtimes import AUTO, BATCH
from tenfold.runtimes.exported import measured
from tenfold.storage.files import TEMPORARY, storing, write_whole

BLOCK = 2000  # image files in a block
PLAN = "plan.json"


@dataclass(frozen=True)
class Block:
    """A number of images: files, or rows of a table, which have the numbers from `first` on (None: files).

    group: number of the row group, if the table is a parquet file.
    """

    number: int
    images: int
    files: tuple[str, ...]
    first: int | None = None
    group: int | None = None

    @property
    def name(self) -> str:
        return f"part-{self.number:06}.parquet"


@dataclass(frozen=True)
class Bulk:
    """Predictions in a directory: the number of images, and of those that could not be read."""

    path: Path
    images: int
    unread: int


def predict_all(model: Run | str | Path, paths: Sequence[str | Path], out: str | Path, *, runtime: str = AUTO,
                workers: int | None = None, on: str | None = None, watcher: Watcher | None = None) -> Bulk:
    """Classify the images in files, folders and tables, and write the predictions to `out/part-*.parquet`.

    model, runtime: as for `predict`. paths: a table is CSV with paths or pixels, or parquet with a column `image` or
    `img` of encoded images. workers: processes
    that share the threads, by default one; on: `ray` or the address of a Ray cluster, by default with one process on
    each core; every node must see the model, the images and `out` under the same path. The columns are those of
    `Prediction.to_dict`. The same call continues an interrupted prediction.

    Raises UsageError before anything is written for a wrong path, or if `out` holds predictions of another model or of
    other images; RunError, DataError, StorageError.
    """
    watcher, out = chosen_watcher(watcher), Path(out)
    model = model_at(model) if isinstance(model, str | Path) else Run.open(model)
    file = model.path / "model.keras" if isinstance(model, Run) else model
    blocks = list(divided(paths))
    workers = executors.chosen_workers(workers, on)
    _begin(out, _plan(file, blocks))
    missing = [block for block in blocks if not (out / block.name).is_file()]
    if len(missing) < len(blocks):
        done = len(blocks) - len(missing)
        watcher.notice(f"{done:,} of {counted(len(blocks), 'block')} {are(done)} already predicted")
    workers = min(workers, max(len(missing), 1))
    where = str(model.path if isinstance(model, Run) else model)
    calls = [partial(work, where, missing[i::workers], str(out), runtime) for i in range(workers if missing else 0)]
    for _, outcome in executors.run_all(calls, workers, watcher, on):
        executors.result(outcome)
    return _counted(out, blocks)


def divided(paths: Sequence[str | Path]) -> Iterator[Block]:
    """The blocks of files, folders and tables: image files first, then tables. Raises UsageError, DataError."""
    files: list[Path] = []
    tables: list[Path] = []
    pixels: list[tuple[Path, int]] = []
    for file in image_files(paths):
        if file.suffix.lower() == ENCODED:
            tables.append(file)
        elif file.suffix.lower() in TABLES:
            rows = unlabelled(file)
            if isinstance(rows, list):
                files += rows
            else:
                pixels.append((file, len(rows)))
        else:
            files.append(file)
    number = itertools.count()
    for start in range(0, len(files), BLOCK):
        chosen = tuple(map(str, files[start : start + BLOCK]))
        yield Block(next(number), len(chosen), chosen)
    for path, count in pixels:
        for start in range(0, count, BLOCK):
            yield Block(next(number), min(BLOCK, count - start), (str(path),), start + 1)
    for path in tables:
        metadata, first = open_table(path, WITHOUT_LABELS).parquet.metadata, 1
        for group in range(metadata.num_row_groups):
            count = metadata.row_group(group).num_rows
            yield Block(next(number), count, (str(path),), first, group)
            first += count


def work(model: str, blocks: Sequence[Block], out: str, runtime: str, *, watcher: Watcher) -> None:
    """Predict blocks that have no file yet, in a process of their own."""
    classifier = Classifier(model_at(model), runtime)
    done, total = 0, sum(block.images for block in blocks)
    for block in blocks:
        watcher.advance("score", done, total, "images")
        done, path = done + block.images, Path(out) / block.name
        if path.is_file():
            continue  # of an earlier process that died
        rows = [each.to_dict() for found in classifier.classify(_batches(block)) for each in found]
        write_whole(path, partial(_write, rows, classifier.classes))
    watcher.advance("score", total, total, "images")


def _batches(block: Block) -> Iterator[list[tuple[Path | None, Any]]]:
    """The path of each image and the image, in batches."""
    if block.first is None:
        for start in range(0, len(block.files), BATCH):
            yield [(Path(file), Path(file)) for file in block.files[start : start + BATCH]]
        return
    file, row = Path(block.files[0]), block.first
    if block.group is None:
        pixels = _pixels(file)[row - 1 : row - 1 + block.images]
        batches: Iterable[Sequence[Any]] = (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
    else:
        batches = encoded(file, BATCH, [block.group])
    for images in batches:
        yield list(in_rows(file, images, row))
        row += len(images)


@lru_cache(maxsize=1)
def _pixels(table: Path) -> Any:
    """The images of a table of pixels, which is read once for all of its blocks."""
    return unlabelled(table)


def _write(rows: Sequence[dict[str, Any]], classes: Sequence[str], path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    texts, numbers = ("path", "label", "decision", "error"), ("probability", *(f"p_{name}" for name in classes))
    schema = pyarrow.schema([*((name, pyarrow.string()) for name in texts),
                             ("set", pyarrow.list_(pyarrow.string())), ("unlike", pyarrow.bool_()),
                             *((name, pyarrow.float32()) for name in numbers)])
    columns = {name: [row.get(name) for row in rows] for name in schema.names}
    columns["path"] = [printable(str(row["path"])) for row in rows]  # a name may hold invalid text
    parquet.write_table(pyarrow.table(columns, schema), path)


def _plan(model: Path, blocks: Sequence[Block]) -> dict[str, Any]:
    """The model and the images, so that predictions of others are not mixed with these."""
    try:
        digest = measured(model)[1] if model.exists() else hashlib.sha256(str(model).encode()).hexdigest()
    except OSError as error:
        raise RunError(f"{model}: can't be read: {error.strerror}") from None
    names = hashlib.sha256("\n".join(f"{each.group} {file}{_state(each)}" for each in blocks
                                     for file in each.files).encode("utf-8", "surrogateescape"))
    return {"model": str(model), "sha256": digest, "blocks": len(blocks),
            "images": names.hexdigest()}


def _state(block: Block) -> str:
    """What tells whether a table was replaced; nothing of image files, which may be very many."""
    if block.first is None:
        return ""
    with reading(Path(block.files[0])):
        found = os.stat(block.files[0])
    return f" {block.images} {found.st_size} {found.st_mtime_ns}"


def _begin(out: Path, plan: dict[str, Any]) -> None:
    """Write the plan into a new directory, or compare it with the one there."""
    path = out / PLAN
    if out.exists() and not out.is_dir():
        raise UsageError(f"out: received {printable(out)}, a file; expected a directory")
    with storing(path):
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        others = (each for each in out.iterdir() if not TEMPORARY.match(each.name)) if out.is_dir() else ()
        if before is None and any(others):
            raise UsageError(f"out: received {out}, which holds other files; expected a new directory, or one "
                             "with the same predictions to continue")
    if before is not None and before != plan:
        different = " and ".join(name for name, keys in (("another model", ("model", "sha256")),
                                                         ("other images", ("blocks", "images")))
                                 if any(before.get(key) != plan[key] for key in keys))
        raise UsageError(f"out: received {out}, which holds predictions of {different}; expected a new "
                         "directory")
    if before is None:
        write_whole(path, json.dumps(plan, indent=2) + "\n")


def _counted(out: Path, blocks: Sequence[Block]) -> Bulk:
    from pyarrow import parquet

    files = [parquet.read_table(out / block.name, columns=["error"]) for block in blocks]
    images = sum(len(table) for table in files)
    return Bulk(out, images, images - sum(table["error"].null_count for table in files))
