"""Writes and reads `model.keras`: a plain Keras model for Keras 3.4 and later, with the class names inside."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from tenfold.counted import counted
from tenfold.errors import RunError, first_line

if TYPE_CHECKING:
    import keras

CONFIG, MEMBER = "config.json", "tenfold.json"
LARGEST = 16 << 20  # bytes of a JSON member
SMALLEST_WEIGHT = 2  # bytes of a weight in a model file

# Settings that Keras has added to its layers and initializers since 3.4, with their defaults. An older version refuses
# a layer with an unknown setting. `python -m benchmarks.old_keras` finds settings missing from this list.
ADDED = {
    "antialias": False,  # Resizing, since 3.9
    "use_gate": False,  # MultiHeadAttention, since 3.14
    "renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99,  # BatchNormalization, since 3.14
    "quantization_config": None,  # Dense and EinsumDense, since 3.13
    "input_axes": None, "output_axes": None,  # initializers that scale with the shape, since 3.15
    "sliding_window": None,  # MultiHeadAttention, since 3.15
}


def save(model: keras.Model, path: Path, facts: dict[str, Any]) -> None:
    """Write a plain Keras model as `.keras`, with `facts` (class names and more) in an extra JSON member of the zip.

    Keras 3.4 and later load the file and ignore the extra member. `path` must end in `.keras`.
    """
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[CONFIG] = for_older_keras(members[CONFIG]).encode()
    _write(path, members, facts)


def copy(path: Path, target: Path, more: dict[str, Any]) -> None:
    """Write a model file to `target` with further facts, or other values of some. Raises RunError if it is damaged."""
    known = facts(path) | more
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: is damaged ({first_line(error)})") from None
    _write(target, members, known)


def _write(path: Path, members: dict[str, bytes], facts: dict[str, Any]) -> None:
    members[MEMBER] = json.dumps(facts, indent=2, ensure_ascii=False).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def for_older_keras(config: str | bytes) -> str:
    """A model's configuration (JSON) without the settings of `ADDED` that have their default values."""
    return json.dumps(json.loads(config, object_hook=_without_added))


def _without_added(table: dict[str, Any]) -> dict[str, Any]:
    if "class_name" in table and isinstance(config := table.get("config"), dict):
        for name, default in ADDED.items():
            if name in config and config[name] == default:
                del config[name]
    return table


def save_h5(model: keras.Model) -> Callable[[Path], None]:
    """A function that writes the model as HDF5, without Keras' warning about this old format."""

    def write(path: Path) -> None:
        import h5py
        from absl import logging

        before = logging.get_verbosity()
        logging.set_verbosity(logging.ERROR)
        try:
            model.save(path)
        finally:
            logging.set_verbosity(before)
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = for_older_keras(file.attrs["model_config"])

    return write


def load(path: Path) -> keras.Model:
    """The model in a `.keras` file: pixels 0–255 in, probabilities out. Raises RunError if it is damaged or would take
    far more memory or time than its bytes.
    """
    from tenfold.backend import keras  # `facts` needs no engine
    from tenfold.foreign import custom
    from tenfold.foreign.load import limited_weights

    if path.suffix != ".h5":  # our own export, checked before it gets its name
        _check_limits(path)
    try:
        with limited_weights(path, path.stat().st_size // SMALLEST_WEIGHT):
            return keras.saving.load_model(path, custom_objects=custom.known(), compile=False)
    except Exception as error:  # Keras raises whatever a damaged file leads to
        missing = [name for name in custom.used_in(path) if name not in custom.known()]
        if missing:
            raise RunError(f"{path}: its model has {', '.join(missing[:5])}, of somebody's own; expected a file that "
                           "registers it with keras.saving.register_keras_serializable: tenfold --plugin FILE.py, or "
                           "import it first") from None
        raise RunError(f"{path}: can't be loaded as a Keras model: {first_line(error)}") from None


def shared(path: Path) -> keras.Model:
    """The same as from `load`, but loaded only once while the network stays the same. It must not be changed."""
    return _loaded(path.absolute(), network_stamp(path))


@lru_cache(maxsize=1)
def _loaded(path: Path, stamp: tuple[tuple[str, int, int], ...]) -> keras.Model:
    return load(path)


def _check_limits(path: Path) -> None:
    """Raise RunError if the file unpacks to far more than its size or its graph asks for far too many layers."""
    from tenfold.foreign import calls, graph

    if not zipfile.is_zipfile(path):
        raise RunError(f"{path}: is damaged (not a complete .keras file)")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        asked = calls.count(json.loads(_member(path, CONFIG)))
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: is damaged ({first_line(error)})") from None
    if unpacked > 4 * path.stat().st_size + LARGEST:
        raise RunError(f"{path}: is damaged (it claims to unpack to {unpacked:,} bytes)")
    if asked > graph.MAX_CALLS:
        raise RunError(f"{path}: its graph asks for {asked:,} calls of layers; expected at most {graph.MAX_CALLS:,}")


def has_convolution(path: Path) -> bool:
    """Whether a layer of the model convolves images: read from its configuration, in a moment. Raises RunError."""
    return b'Conv2D' in _member(path, CONFIG)


def facts(path: Path) -> dict[str, Any]:
    """The facts that `save` wrote to the file: at least "classes" and "shape". Raises RunError."""
    try:
        found = json.loads(_member(path, MEMBER))
        Facts.model_validate(found)
    except (ValueError, RecursionError):
        raise RunError(f"{path}: is damaged or not written by Tenfold (it has no readable {MEMBER})") from None
    return found


def network_stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes with the network in a model file, not with its facts. Raises RunError."""
    return tuple(member for member in _checksums(path) if member[0] != MEMBER)


def _checksums(path: Path) -> list[tuple[str, int, int]]:
    """(name, checksum, size) of each member, from the zip's directory. Raises RunError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted((member.filename, member.CRC, member.file_size) for member in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        raise RunError(f"{path}: is damaged (not a complete .keras file)") from None


def fingerprint(path: Path) -> str:
    """A short hash (hex) of the content of a model file, from the checksums that its zip keeps. Raises RunError."""
    content = _checksums(path)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def check_facts(path: Path, model: keras.Model) -> dict[str, Any]:
    """The facts in the file, if they are those of the model loaded from it. Raises RunError."""
    found = facts(path)
    takes, gives = model.input_shape, model.output_shape
    if list(takes)[1:] != found["shape"] or gives[-1] != len(found["classes"]):
        raise RunError(f"{path}: is damaged (its model takes {takes} and gives {gives}, but {MEMBER} names images of "
                       f"{found['shape']} and {counted(len(found['classes']), 'class')})")
    return found


class _Range(RootModel[Annotated[list[Annotated[float, Field(ge=-1e6, le=1e6)]], Field(min_length=2, max_length=2)]]):
    """A lowest and a highest value."""


class Facts(BaseModel):
    """What the facts must contain, among others."""

    model_config = ConfigDict(strict=True)

    classes: Annotated[list[str], Field(min_length=1)]
    shape: Annotated[list[Annotated[int, Field(ge=1, le=1 << 20)]], Field(min_length=3, max_length=3)]
    epoch: int = 0
    pixels: dict[Literal["mean", "sd"], _Range] | None = None
    resize: Literal["pad", "crop", "stretch"] = "stretch"


def _member(path: Path, name: str) -> bytes:
    """A member of the zip. Raises RunError if it is missing, damaged or larger than any that Tenfold wrote."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as packed:
            content = packed.read(LARGEST + 1)  # zipfile's own `read` expands all, whatever size is declared
    except Exception as error:  # a damaged zip raises whatever it leads to
        content, reason = b"", first_line(error)
    else:
        reason = "it is too large"
    if not content or len(content) > LARGEST:
        raise RunError(f"{path}: is damaged or not written by Tenfold (it has no readable {name}: {reason})")
    return content
