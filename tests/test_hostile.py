"""Inputs made to harm: every reader refuses them in one line, without code, other files, a gigabyte or ten seconds.

The readers run in a process of their own for each kind, whose memory is measured. Inputs are made here, none is kept.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_models import FILES
from hostile_pickles import HOSTILE
from made_files import network
from PIL import Image

import tenfold
from tenfold.recipe import Recipe
from tenfold.run import Run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

READER = Path(__file__).parent / "hostile_reader.py"
MEBIBYTES = 1024
GIGABYTES = 1 << 33  # in a file of no bytes: it is one hole

Maker = Callable[[Path], object]  # (an empty folder) → files in it
Cases = dict[str, tuple[Maker, str]]  # name → how to make it, what the refusal says


def written(name: str, content: bytes | str) -> Maker:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def pipe(name: str) -> Maker:
    return lambda folder: os.mkfifo(folder / name)


def hole(name: str) -> Maker:
    def make(folder: Path) -> None:
        (folder / name).touch()
        os.truncate(folder / name, GIGABYTES)
    return make


def lazy(make: Callable[[], Maker]) -> Maker:
    """A maker whose content is made only when it is needed, because it is large."""
    return lambda folder: make()(folder)


def link_to_itself(name: str) -> Maker:
    return lambda folder: os.symlink(name, folder / name)


# ----------------------------------------------------------------------------------------------------
# recipes and studies


TABLES: Cases = {
    "a key of 20,000 parts": (written("hostile.toml", "a" + ".a" * 20_000 + " = 1"), "more than 32 parts"),
    "a quoted key of 20,000 parts": (written("hostile.toml", '"a b" . ' * 20_000 + "b = 1"), "more than 32 parts"),
    "a header of 20,000 parts": (written("hostile.toml", "[a" + ".a" * 20_000 + "]"), "more than 32 parts"),
    "lists in lists": (written("hostile.toml", "a = " + "[" * 100_000), "invalid TOML"),
    "tables in tables": (written("hostile.toml", "a = " + "{a = " * 5_000), "invalid TOML"),
    "a number of 100,000 digits": (written("hostile.toml", "a = " + "9" * 100_000), "invalid TOML"),
    "a pipe": (pipe("hostile.toml"), "not a regular file"),
    "a file of gigabytes": (hole("hostile.toml"), "more than 1,048,576 bytes"),
    "a link to itself": (link_to_itself("hostile.toml"), "symbolic links"),
    "bytes that are no text": (written("hostile.toml", b"\xff\xfe\x00"), "not UTF-8"),
}
RECIPES: Cases = TABLES | {
    "a key with a line's end": (written("hostile.toml", '[train]\n"a\\nb" = 1'), r"a\?b"),
    "a value of a megabyte": (written("hostile.toml", "[train]\nepochs = '" + "x" * 900_000 + "'"), "train.epochs"),
    "a model that is a path": (written("hostile.toml", "[model]\nname = '../../secret'"), "unknown model"),
}
STUDIES: Cases = TABLES | {
    "a name that is a path": (written("hostile.toml", "name = '../owned'\n[[models]]\nrecipe = 'mlp'"), "is invalid"),
    "no models": (written("hostile.toml", "models = []"), "models"),
}


# ----------------------------------------------------------------------------------------------------
# images


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *more: bytes, pixels: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def tiff(folder: Path) -> None:
    """A tile of 60,000 by 60,000 pixels in an image of one pixel."""
    tags = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 277: 1, 322: 60_000, 323: 60_000, 324: 8, 325: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    (folder / "hostile.png").write_bytes(
        struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags)) + entries + bytes(4))


POSTSCRIPT = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(owned) (w) file closefile\nshowpage\n"
IMAGES: Cases = {
    "a program for Ghostscript": (written("hostile.png", POSTSCRIPT), "another format"),
    "a PNG of 10^10 pixels": (written("hostile.png", png(100_000, 100_000)), "can't be read as an image"),
    "a PNG of 89 million pixels, cut off": (written("hostile.png", png(9_400, 9_400)), "can't be read as an image"),
    "a long text in a PNG": (lazy(lambda: written("hostile.png", png(1, 1, chunk(
        b"zTXt", b"a\0\0" + zlib.compress(bytes(100 << 20))), pixels=b"\0\0")[:-30])), "can't be read as an image"),
    "a TIFF of one huge tile": (tiff, "can't be read as an image"),
    "a GIF of 65,535 by 65,535": (written("hostile.png", b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) +
                                          b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;"), "can't be read as an image"),
    "a BMP of 2^31 by 2^31": (written("hostile.png", b"BM" + bytes(8) + struct.pack(
        "<IIiiHHIIiiII", 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0)), "can't be read as an image"),
    "a drawing that names a file": (written("hostile.png", '<svg><image href="file:///secret"/></svg>'),
                                    "another format"),
    "a pipe": (pipe("hostile.png"), "not a regular file"),
    "a folder": (lambda folder: (folder / "hostile.png").mkdir(), "not a regular file"),
    "a device": (lambda folder: os.symlink("/dev/zero", folder / "hostile.png"), "not a regular file"),
    "a link to itself": (link_to_itself("hostile.png"), "symbolic links"),
    "a hole of gigabytes": (hole("hostile.png"), "another format"),
}


# ----------------------------------------------------------------------------------------------------
# data sets


IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(content: bytes, ending: str = "") -> Maker:
    """All four files of MNIST."""
    def make(folder: Path) -> None:
        (folder / "mnist").mkdir()
        for name in IDX:
            (folder / "mnist" / f"{name}{ending}").write_bytes(content)
    return make


def npz(member: bytes, kind: int = zipfile.ZIP_DEFLATED) -> Maker:
    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / "mnist.npz", "w", kind) as archive:
            for name in ("x_train", "y_train", "x_test", "y_test"):
                archive.writestr(f"{name}.npy", member)
    return make


def npy(shape: str, dtype: str = "|u1", content: bytes = b"") -> bytes:
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def pickled(content: bytes) -> Maker:
    def make(folder: Path) -> None:
        (folder / "cifar-10-batches-py").mkdir()
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            (folder / "cifar-10-batches-py" / name).write_bytes(content)
    return make


class Owned:
    """An object whose pickle runs a program that leaves a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch secret-owned",)


def parquet(images: Any, rows: int) -> Maker:
    def make(folder: Path) -> None:
        (folder / "cifar10").mkdir()
        table = pa.table({"img": images, "label": pa.array(np.zeros(rows, np.int64))})
        for split in ("train", "test"):
            pq.write_table(table, folder / "cifar10" / f"{split}-0.parquet", compression="zstd", store_schema=False,
                           write_statistics=False)
    return make


def shared(cell: bytes, rows: int) -> Any:
    """A column of images in which all rows are the same bytes."""
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([cell]))
    return pa.StructArray.from_arrays([column], names=["bytes"])


def bomb() -> bytes:
    file = io.BytesIO()
    Image.new("L", (9_000, 9_000)).save(file, "PNG")
    return file.getvalue()


DATA: Cases = {
    "IDX of 2^39 bytes": (idx(struct.pack(">IIII", 0x803, 1 << 20, 1 << 10, 1 << 9)), "IDX|bytes|idx"),
    "IDX with sides that overflow": (idx(struct.pack(">IIII", 0x803, *[2**32 - 1] * 3)), "IDX|bytes|idx"),
    "IDX of gigabytes, packed": (lazy(lambda: idx(gzip.compress(
        struct.pack(">IIII", 0x803, 4096, 1024, 512) + bytes(64 << 20), 1), ".gz")), "bytes"),
    "gzip in gzip": (lazy(lambda: idx(gzip.compress(gzip.compress(bytes(100 << 20), 1), 1), ".gz")), "ubyte"),
    "npz with a header of 2^39 bytes": (npz(npy("(549755813888,)"), zipfile.ZIP_STORED), "in 0 bytes"),
    "npz of objects": (npz(npy("(2,)", "|O", pickle.dumps(Owned())), zipfile.ZIP_STORED), "object"),
    "npz that unpacks to much": (lazy(lambda: npz(npy("(134217728,)", content=bytes(128 << 20)))), "unpacks"),
    "npz with a header that is code": (npz(npy("__import__('os').system('touch secret-owned')"), zipfile.ZIP_STORED),
                                       "mnist.npz"),
    "a pickle that runs a program": (pickled(pickle.dumps(Owned(), 2)), "the official file again"),
    **{f"a pickle: {name}": (pickled(content), "the official file again") for name, content in HOSTILE.items()},
    "parquet whose rows share 4 MB": (lazy(lambda: parquet(shared(bytes(4 << 20), 4_000), 4_000)), "4,194,304 bytes"),
    "parquet of one image of 81 million pixels": (lazy(lambda: parquet(shared(bomb(), 1_000), 1_000)),
                                                  "9,000×9,000 pixels"),
    "parquet with more rows than there are": (parquet(shared(b"", 200_000), 200_000), "expected at most"),
    "parquet that is none": (lambda folder: ((folder / "cifar10").mkdir(), [
        (folder / "cifar10" / f"{split}-0.parquet").write_bytes(b"PAR1" + b"\xff" * 64 + b"PAR1")
        for split in ("train", "test")]), "parquet"),
    "an archive of gigabytes": (lambda folder: ((folder / "cifar-10-batches-bin").mkdir(), [
        hole(f"cifar-10-batches-bin/{name}")(folder)
        for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")]), "bytes"),
}


# ----------------------------------------------------------------------------------------------------
# runs


RECIPE = {"data": {"source": "shapes:train=100,test=20"}, "model": {"name": "mlp", "hidden": [8]},
          "train": {"epochs": 1, "batch_size": 50}}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = Recipe.from_dict(RECIPE, name="small")
    run = tenfold.train(recipe, runs=tmp_path_factory.mktemp("good"))
    tenfold.evaluate(run, calibrate=True, corruptions=True)
    return run


def in_run(make: Maker, *, name: str) -> Maker:
    """A run in which one file is another."""
    def made(folder: Path) -> None:
        (folder / "run" / name).unlink(missing_ok=True)
        make(folder / "run")
    return made


def replaced(name: str, content: bytes | str) -> Maker:
    return in_run(written(name, content), name=name)


def unlike(name: str, *keys: str, value: object) -> Maker:
    """A run in which one value of a JSON file is another."""
    def make(folder: Path) -> None:
        path = folder / "run" / name
        tree = content = json.loads(path.read_text())
        for key in keys[:-1]:
            tree = tree[key]
        tree[keys[-1]] = value
        path.write_text(json.dumps(content))
    return make


def predictions(**columns: Any) -> Maker:
    def make(folder: Path) -> None:
        pq.write_table(pa.table(columns), folder / "run/predictions/test.parquet", compression="zstd")
    return make


def labels(name: str, rows: int) -> Any:
    """A column in which all rows share one name."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([name]))


def checkpoint(arrays: bytes | None = None, state: str | None = None) -> Maker:
    """A run whose last checkpoint holds other files, with their hashes."""
    def make(folder: Path) -> None:
        import hashlib

        for last in (folder / "run" / "checkpoints").glob("last-*"):
            if arrays is not None:
                (last / "arrays.npz").write_bytes(arrays)
            if state is not None:
                (last / "state.json").write_text(state)
            (last / "SHA256SUMS").write_text("".join(
                f"{hashlib.sha256((last / name).read_bytes()).hexdigest()}  {name}\n"
                for name in ("arrays.npz", "state.json")))
    return make


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def member(name: str, content: bytes) -> Maker:
    """A run whose model file has another member of that name."""
    def make(folder: Path) -> None:
        path = folder / "run/model.keras"
        with zipfile.ZipFile(path) as archive:
            members = {each: archive.read(each) for each in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for each, old in members.items():
                archive.writestr(each, content if each == name else old)
    return make


def calls(levels: int) -> bytes:
    """Networks inside one another, each called twenty times."""
    from hostile_models import nested

    return json.dumps(nested(levels, 20)).encode()


RUNS: Cases = {
    "status: lists in lists": (replaced("status.json", "[" * 100_000), "invalid JSON"),
    "status: a pipe": (in_run(pipe("status.json"), name="status.json"), "status.json"),
    "status: gigabytes": (in_run(hole("status.json"), name="status.json"), "more than 50,331,648 bytes"),
    "status: another kind": (unlike("status.json", "status", value=["finished"]), "status: received"),
    "recipe: a key of 20,000 parts": (replaced("recipe.toml", "a" + ".a" * 20_000 + " = 1"), "more than 32 parts"),
    "recipe: gigabytes": (in_run(hole("recipe.toml"), name="recipe.toml"), "more than"),
    "metrics: millions of lists": (lazy(lambda: replaced(
        "metrics.json", '{"a": [' + "[]," * 9_000_000 + "[]]}")), "1,000,000 lists"),
    "metrics: a number of 5,000 digits": (replaced("metrics.json", '{"a": ' + "9" * 5_000 + "}"), "invalid JSON"),
    "metrics: a number of 400 digits": (unlike("metrics.json", "test", "loss", "value", value=10**400), "loss.value"),
    "metrics: a text for a number": (unlike("metrics.json", "test", "count", value="many"), "test.count"),
    "scored: a text for a number": (unlike("scored.json", "test", value="often"), "test: received 'often'"),
    "environment: no classes": (unlike("environment.json", "dataset", "classes", value=[]), "dataset.classes"),
    "calibration: nothing": (unlike("calibration.json", "temperature", value=0), "temperature"),
    "corruptions: another kind": (unlike("corruptions.json", "mean", value=[1]), "mean"),
    "speed: another kind": (unlike("inference.json", "threads", value="all"), "threads"),
    "history: a cell of megabytes": (replaced("history.csv", '"' + "a" * (4 << 20)), "invalid CSV"),
    "history: gigabytes": (in_run(hole("history.csv"), name="history.csv"), "more than"),
    "predictions: 120 million numbers": (lazy(lambda: predictions(
        label=labels("a", 3_000_000), **{f"p_{i}": np.zeros(3_000_000, np.float32) for i in range(40)})), "rows of"),
    "predictions: labels of megabytes": (lazy(lambda: predictions(
        label=labels("a" * (4 << 20), 100_000), index=np.arange(100_000))), "labels of"),
    "predictions: lists": (predictions(label=pa.array(["a"]), p=pa.array([[1.0]])), "invalid|numbers"),
    "checkpoint: an array of 2^39 bytes": (checkpoint(zipped("weights/0.npy", npy("(549755813888,)"))), "no intact"),
    "checkpoint: much, packed": (lazy(lambda: checkpoint(zipped(
        "weights/0.npy", npy("(134217728,)", content=bytes(128 << 20))))), "no intact last"),
    "checkpoint: objects": (checkpoint(zipped("weights/0.npy", npy("(2,)", "|O", pickle.dumps(Owned())))),
                            "no intact last"),
    "checkpoint: no zip": (checkpoint(b"PK\x05\x06" + bytes(17)), "no intact last"),
    "checkpoint: lists in lists": (checkpoint(state="[" * 100_000), "no intact last"),
    "checkpoint: another kind": (checkpoint(state='{"position": {"epoch": "x"}, "records": []}'), "no intact last"),
    "model: five networks inside one another": (lazy(lambda: member("config.json", calls(5))), "calls of layers"),
    "model: lists in lists": (member("config.json", b"[" * 100_000), "model.keras"),
    "model: weights that are packed": (lazy(lambda: member("model.weights.h5", bytes(200 << 20))), "unpack"),
    "model: facts that are packed": (lazy(lambda: member("tenfold.json", b" " * (200 << 20))), "model.keras"),
    "model: facts of another kind": (member("tenfold.json", b'{"classes": 3, "shape": "large"}'), "tenfold.json"),
    "model: other classes": (member("tenfold.json", b'{"classes": ["a"], "shape": [32, 32, 3]}'), "damaged"),
    "model: code": (member("config.json", b'{"class_name": "Lambda", "module": "keras.layers", "config": {}}'),
                    "can't be loaded"),
}


def model_file(name: str) -> Maker:
    def make(folder: Path) -> None:
        network().save(folder / "ordinary.keras")
        FILES[name][0](folder / "ordinary.keras", folder / "hostile.keras")
    return make


MODELS: Cases = {name: (model_file(name), said) for name, (_, said) in FILES.items()}
KINDS = {"recipes": RECIPES, "studies": STUDIES, "images": IMAGES, "data": DATA, "runs": RUNS, "models": MODELS}
ALL = [(kind, name) for kind, cases in KINDS.items() for name in cases]


# ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory, good: Run) -> Callable[[str], dict[str, dict[str, Any]]]:
    """How the cases of a kind ended, by name; they are read once."""
    known: dict[str, dict[str, dict[str, Any]]] = {}

    def ends_of(kind: str) -> dict[str, dict[str, Any]]:
        if kind not in known:
            root = tmp_path_factory.mktemp(kind)
            for number, (make, _) in enumerate(KINDS[kind].values()):
                folder = root / f"{number:03d}"
                folder.mkdir()
                (folder / "secret.json").write_text("{}")
                if kind == "runs":
                    shutil.copytree(good.path, folder / "run")
                make(folder)
            _warm(kind, root, good)
            command = [sys.executable, str(READER), kind, str(root), *(f"{i:03d}" for i in range(len(KINDS[kind])))]
            done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=500, check=False)
            told = {int(line["case"]): line for line in map(json.loads, done.stdout.splitlines())}
            known[kind] = {name: told.get(i, {"died": done.returncode, "stderr": done.stderr[-2000:]})
                           for i, name in enumerate(KINDS[kind])}
            assert not list(root.rglob("*owned*"))
            shutil.rmtree(root)
        return known[kind]

    return ends_of


def _warm(kind: str, root: Path, good: Run) -> None:
    """An honest input of that kind."""
    (root / "warm").mkdir()
    if kind == "runs":
        shutil.copytree(good.path, root / "warm/run")
    elif kind == "models":
        network().save(root / "warm/hostile.keras")
    elif kind == "images":
        Image.new("L", (9, 9)).save(root / "warm/hostile.png")


def test_the_inputs_are_many_and_of_every_kind() -> None:
    assert len(ALL) >= 60
    assert all(len(cases) >= 10 for cases in KINDS.values())


@pytest.mark.parametrize(("kind", "name"), ALL, ids=lambda word: word)
def test_a_hostile_input_is_refused_in_one_line(
    kind: str, name: str, ends: Callable[[str], dict[str, dict[str, Any]]]
) -> None:
    end = ends(kind)[name]
    assert "died" not in end, end
    assert "TenfoldError" in end["kinds"], end
    assert len(end["text"].splitlines()) == 1
    assert len(end["text"]) < 1_000
    assert re.search(KINDS[kind][name][1], end["text"]), end["text"]
    assert end["mebibytes"] < MEBIBYTES
    assert end["asked"] == []
