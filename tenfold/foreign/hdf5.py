"""Checks HDF5 weights: only numbers inside the file, no more than its bytes can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.errors import ModelFileError, first_line
from tenfold.foreign import graph

TOLERANCE = 1 << 20  # bytes; HDF5 may store no bytes for small constants
MAX_OBJECTS = 20_000  # groups, datasets and attributes; EfficientNetV2L's weights have 4,416
MAX_DEPTH = 60  # of nested groups
MAX_ATTRIBUTE = 32 << 20  # bytes of one attribute, and of all texts of variable length together


def check(path: Path, largest: int) -> Path:
    """Check every group, link, dataset and attribute; return the path. Raises ModelFileError if one is refused.

    Reads only the structure: follows no external or soft links and unpacks no data.
    """
    import h5py

    if not h5py.is_hdf5(path):
        raise ModelFileError(f"{path}: is not a complete HDF5 file (it is truncated or in another format)")
    try:
        with h5py.File(path, "r") as file:
            checked = _Check(path, path.stat().st_size, largest)
            checked.group(file, "/")
            checked.variable_texts()
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise ModelFileError(f"{path}: the HDF5 file is damaged ({first_line(error)})") from None
    return path


def model_config(path: Path) -> Any:
    """The graph in a whole-model `.h5` file that passed `check`. Raises ModelFileError if it has none."""
    import h5py

    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    if text is None:
        raise ModelFileError(f"{path}: contains only weights; expected a whole model (use model.weights for weights)")
    return graph.parse(path, text, "model_config")


def count(path: Path) -> int:
    """The number of weight values in a file that passed `check`, without the state of an optimizer."""
    import h5py

    total = 0

    def add(name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset) and not name.startswith(("optimizer", "_optimizer")):
            total += item.size or 0

    with h5py.File(path, "r") as file:
        file.visititems(add)
    return total


class _Check:
    """One pass over a file. It counts objects and bytes and stops at their limits."""

    def __init__(self, path: Path, size: int, largest: int) -> None:
        self.path, self.size, self.largest = path, size, largest
        self.seen: set[int] = set()
        self.objects = self.declared = self.stored = self.texts = 0

    def refuse(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self.path}: refused: {what}")

    def group(self, group: Any, where: str) -> None:
        import h5py

        if where.count("/") > MAX_DEPTH:
            raise self.refuse(f"its groups are nested more than {MAX_DEPTH} deep")
        self.attributes(group, where)
        self.count_objects(len(group))
        for name in group:
            place = f"{where}{name[:60]}"  # names have no slash
            kind = group.get(name, getlink=True)
            if not isinstance(kind, h5py.HardLink):
                words = {h5py.ExternalLink: "an external link", h5py.SoftLink: "a soft link"}
                raise self.refuse(f"{place!r} is {words.get(type(kind), 'a link of an unknown kind')}; "
                                  "expected weights in the file itself")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in self.seen:
                raise self.refuse(f"{place!r} is linked more than once; expected one link")
            self.seen.add(address)
            if isinstance(item, h5py.Group):
                self.group(item, f"{place}/")
            elif isinstance(item, h5py.Dataset):
                self.dataset(item, place)
            else:
                raise self.refuse(f"{place!r} is of another kind; expected a group or a dataset")

    def dataset(self, data: Any, where: str) -> None:
        """Check layout, type, filters and size without reading the data."""
        import h5py

        properties = data.id.get_create_plist()
        if properties.get_layout() == h5py.h5d.VIRTUAL:
            raise self.refuse(f"{where!r} is a virtual dataset from other files; expected weights in the file itself")
        if properties.get_external_count():
            raise self.refuse(f"{where!r} is in an external file; expected weights in the file itself")
        if data.dtype.kind not in "fiub" and data.dtype.str != "|V2":  # |V2: how bfloat16 is stored
            raise self.refuse(f"{where!r} has the type {str(data.dtype)[:40]}; expected numbers")
        if properties.get_nfilters():
            raise self.refuse(f"{where!r} is compressed (filter {properties.get_filter(0)[0]}); expected uncompressed "
                              "weights; copy them to a file without compression")
        declared = data.dtype.itemsize
        for side in data.shape or (0,):
            declared *= side  # Python integers do not overflow
        self.declared += declared
        self.stored += min(data.id.get_storage_size(), self.size)
        if self.declared > self.largest:
            raise self.refuse(f"up to {where!r} its datasets declare {self.declared:,} bytes; expected at most "
                              f"{self.largest:,}")
        if self.declared > min(self.stored, self.size) + TOLERANCE:
            raise self.refuse(f"up to {where!r} its datasets declare {self.declared:,} bytes but store {self.stored:,}")
        self.attributes(data, where)

    def count_objects(self, count: int) -> None:
        self.objects += count
        if self.objects > MAX_OBJECTS:
            raise self.refuse(f"it has more than {MAX_OBJECTS:,} objects and attributes")

    def variable_texts(self) -> None:
        """Check texts of variable length: many entries of an attribute may share one long text outside the datasets."""
        outside = self.size - min(self.stored, self.size)
        if outside > MAX_ATTRIBUTE or outside * self.texts > self.largest:
            raise self.refuse(f"it has {outside:,} bytes outside datasets, and up to {self.texts:,} texts of one "
                              f"attribute may use them; expected at most {MAX_ATTRIBUTE:,} bytes, and their product "
                              f"at most {self.largest:,}")

    def attributes(self, item: Any, where: str) -> None:
        import h5py

        self.count_objects(len(item.attrs))
        for name in item.attrs:
            attribute = h5py.h5a.open(item.id, name.encode())
            kind = attribute.get_type()
            plain = (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID, h5py.h5t.TypeEnumID)
            if not isinstance(kind, plain):
                raise self.refuse(f"attribute {name[:40]!r} of {where!r} is of another type; expected text or numbers")
            count = attribute.get_space().get_simple_extent_npoints()
            if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
                self.texts = max(self.texts, count)
            if kind.get_size() * count > MAX_ATTRIBUTE:
                raise self.refuse(f"attribute {name[:40]!r} of {where!r} has {kind.get_size() * count:,} bytes; "
                                  f"expected at most {MAX_ATTRIBUTE:,}")
