"""Damaged own images: mutated files of each format in a folder, and mutated tables, arrays and archives.

    python -m drill.imports [COUNT]

Of a folder, every file is either an image of the data set or named among those left out, and none needs much memory.
A damaged table, array file or archive ends in one line, or is still a data set.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

from drill.images import damage, originals
from tenfold.data import open_dataset
from tenfold.errors import TenfoldError
from tenfold.recipe import DataSection

ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif", "TIFF": "tif", "AVIF": "avif"}
MOST_MEMORY = 200  # MB that the process may grow by, however a file is damaged
SECTION = DataSection(size=64, group=None)

# Imports the whole images first, so that only what damaged ones need is measured. One thread: one file at a time.
MEASURE = """
import json, os, resource, sys
os.environ["TENFOLD_THREADS"], os.environ["TENFOLD_CACHE"] = "1", sys.argv[3]
from drill.imports import SECTION
from tenfold.data import open_dataset
open_dataset(sys.argv[1], section=SECTION)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
dataset = open_dataset(sys.argv[2], section=SECTION)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
named = [one.name for one in dataset.left_out] + list(dataset.train.names)
print(json.dumps({"images": len(dataset.train), "named": named, "growth": (after - before) / 1024}))
"""


@dataclass(frozen=True)
class Imported:
    """A folder of damaged files: how many became images or were left out, which were lost, and the memory in MB."""

    files: int
    images: int
    left_out: int
    lost: tuple[str, ...]
    memory: float


def main() -> int:
    count, good = int(sys.argv[1]) if len(sys.argv) > 1 else 2000, True
    with tempfile.TemporaryDirectory() as root:
        os.environ["TENFOLD_CACHE"] = f"{root}/cache"
        for kind in ENDINGS:
            found = import_folder(kind, count, Path(root) / kind)
            good &= not found.lost and found.memory <= MOST_MEMORY
            print(f"{kind:<5} {found.files:,} damaged files: {found.images:,} images, {found.left_out:,} left out, "
                  f"{len(found.lost):,} lost; {found.memory:.0f} MB of memory", *found.lost[:10], flush=True)
        for name in sources():
            counts = Counter(import_sources(name, count, Path(root) / name))
            escaped = [outcome for outcome in counts if outcome not in ("read", "refused")]
            good &= not escaped
            print(f"{name:<14} {count:,} damaged files: {counts['read']:,} read, {counts['refused']:,} refused "
                  f"in one line, {sum(map(counts.get, escaped)):,} escaped", *escaped[:10], sep="\n  " if escaped
                  else " ", flush=True)
    return 0 if good else 1


def import_folder(kind: str, count: int, root: Path, seed: int = 0) -> Imported:
    """Import `count` damaged files of a format, and one whole image of each class, as a folder of two classes."""
    draw = random.Random(seed)
    whole = [content for name, content in originals().items() if name.split()[0] == kind]
    names = {f"{'ab'[number % 2]}/{number:05d}.{ENDINGS[kind]}": damage(whole[number % len(whole)], draw)
             for number in range(count)}
    for folder, contents in (("whole", {}), ("damaged", names)):
        both = {f"{label}/whole.{ENDINGS[kind]}": whole[0] for label in "ab"}
        for name, content in {**both, **contents}.items():
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    output = subprocess.run([sys.executable, "-c", MEASURE, root / "whole", root / "damaged", root / "cache"],
                            check=True, capture_output=True, text=True).stdout
    result = json.loads(output.splitlines()[-1])
    counts = Counter(result["named"])
    lost = tuple(name for name in names if counts[name] != 1)
    images = result["images"] - 2
    return Imported(count, images, len(result["named"]) - result["images"], lost, result["growth"])


def import_sources(name: str, count: int, root: Path, seed: int = 0) -> Iterator[str]:
    """What came of `count` damaged files of a source: "read", "refused" (one line), else what went wrong."""
    root.mkdir(parents=True, exist_ok=True)
    draw, whole = random.Random(seed), sources()[name](root)
    path = root / name
    for number in range(count):
        path.write_bytes(damage(whole, draw))
        try:
            open_dataset(str(path), section=SECTION.model_copy(update={"size": 8}))
        except TenfoldError as error:
            yield "refused" if "\n" not in str(error) else f"{number}: {error!r}"
        except Exception as error:
            yield f"{number}: {error!r}"
        else:
            yield "read"


def sources() -> dict[str, Callable[[Path], bytes]]:
    """Functions that make the content of a small file of each source, by its name; they may write images beside it."""
    return {"paths.csv": _paths, "pixels.csv": _pixels, "arrays.npz": _npz, "packed.npz": _packed_npz,
            "arrays.pickle": _pickle, "rows.parquet": _parquet, "tree.zip": _zip, "tree.tar": _tar,
            "tree.tar.gz": _tar_gz}


def _digits() -> tuple[np.ndarray, np.ndarray]:
    bunch = load_digits(n_class=3)
    return (bunch.images[:24] * 255 / 16).astype(np.uint8), bunch.target[:24]


def _files() -> dict[str, bytes]:
    from PIL import Image

    found = {}
    for number, (image, label) in enumerate(zip(*_digits(), strict=True)):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        found[f"{label}/digit-{number}.png"] = buffer.getvalue()
    return found


def _paths(root: Path) -> bytes:
    lines = ["file,label,split"]
    for number, (name, content) in enumerate(_files().items()):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
        lines.append(f"{name},{name[0]},{'test' if number % 4 == 0 else 'train'}")
    return "\n".join(lines).encode()


def _pixels(root: Path) -> bytes:
    lines = [",".join(["label", *(f"pixel{i}" for i in range(64))])]
    lines += [",".join(map(str, [label, *image.ravel()])) for image, label in zip(*_digits(), strict=True)]
    return "\n".join(lines).encode()


def _npz(root: Path, save: Callable[..., None] = np.savez) -> bytes:
    images, labels = _digits()
    buffer = io.BytesIO()
    save(buffer, x_train=images[:18], y_train=labels[:18], x_test=images[18:] / 255, y_test=labels[18:])
    return buffer.getvalue()


def _packed_npz(root: Path) -> bytes:
    return _npz(root, np.savez_compressed)


def _pickle(root: Path) -> bytes:
    images, labels = _digits()
    return pickle.dumps({"x_train": images, "y_train": labels, "labels": ["zero", "one", "two"]}, 4)


def _parquet(root: Path) -> bytes:
    cells = pa.array([{"bytes": content, "path": name} for name, content in _files().items()],
                     pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": cells, "label": pa.array(_digits()[1])}), buffer, row_group_size=10)
    return buffer.getvalue()


def _zip(root: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _files().items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(root: Path, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in _files().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _tar_gz(root: Path) -> bytes:
    return _tar(root, "w:gz")


if __name__ == "__main__":
    sys.exit(main())
