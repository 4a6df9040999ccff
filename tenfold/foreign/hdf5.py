"""HDF5 weights: numbers that lie in the file itself, as many as its bytes bear out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.errors import ModelFileError, first_line
from tenfold.foreign import graph

SLACK = 1 << 20  # bytes: small constants may be stored as nothing at all
OBJECTS = 20_000  # groups, data sets and attributes; EfficientNetV2L's weights have 4,416
DEPTH = 60  # groups inside groups
ATTRIBUTE = 32 << 20  # bytes of one attribute, and of all of variable length together


def check(path: Path, largest: int) -> Path:
    """The path, if the file's every group, link, dataset and attribute is harmless. Raises ModelFileError.

    Nothing is read but the structure: external and soft links are not followed, data not expanded.
    """
    import h5py

    if not h5py.is_hdf5(path):
        raise ModelFileError(f"{path}: is no whole HDF5 file (it is truncated, or something else)")
    try:
        with h5py.File(path, "r") as file:
            checked = _Check(path, path.stat().st_size, largest)
            checked.group(file, "/")
            checked.rest()
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise ModelFileError(f"{path}: is damaged HDF5 ({first_line(error)})") from None
    return path


def model_config(path: Path) -> Any:
    """The graph in a whole-model `.h5` file that `check` has passed. Raises ModelFileError if there is none."""
    import h5py

    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    if text is None:
        raise ModelFileError(f"{path}: holds weights alone; expected a whole model (give weights as model.weights)")
    return graph.parsed(path, text, "model_config")


def count(path: Path) -> int:
    """How many numbers the weights of a file that `check` has passed hold (an optimizer's state aside)."""
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
    """One pass over a file; counts objects and bytes so that both end."""

    def __init__(self, path: Path, size: int, largest: int) -> None:
        self.path, self.size, self.largest = path, size, largest
        self.seen: set[int] = set()
        self.objects = self.declared = self.stored = self.texts = 0

    def refuse(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self.path}: refused: {what}")

    def group(self, group: Any, where: str) -> None:
        import h5py

        if where.count("/") > DEPTH:
            raise self.refuse(f"it has groups inside groups, more than {DEPTH} deep")
        self.attributes(group, where)
        self.more(len(group))
        for name in group:
            place = f"{where}{name[:60]}"  # no name holds a slash
            kind = group.get(name, getlink=True)
            if not isinstance(kind, h5py.HardLink):
                words = {h5py.ExternalLink: "an external link", h5py.SoftLink: "a soft link"}
                raise self.refuse(f"{place!r} is {words.get(type(kind), 'a link of a kind of its own')}; weights lie "
                                  "in the file itself")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in self.seen:
                raise self.refuse(f"{place!r} is linked more than once")
            self.seen.add(address)
            if isinstance(item, h5py.Group):
                self.group(item, f"{place}/")
            elif isinstance(item, h5py.Dataset):
                self.dataset(item, place)
            else:
                raise self.refuse(f"{place!r} is neither a group nor a dataset")

    def dataset(self, data: Any, where: str) -> None:
        """Layout, type, filters and size, none of which reads the data."""
        import h5py

        properties = data.id.get_create_plist()
        if properties.get_layout() == h5py.h5d.VIRTUAL:
            raise self.refuse(f"{where!r} is a virtual data set, put together from other files")
        if properties.get_external_count():
            raise self.refuse(f"{where!r} lies in an external file")
        if data.dtype.kind not in "fiub" and data.dtype.str != "|V2":  # |V2: how bfloat16 is stored
            raise self.refuse(f"{where!r} holds {str(data.dtype)[:40]}; weights are numbers")
        if properties.get_nfilters():
            raise self.refuse(f"{where!r} is packed (by filter {properties.get_filter(0)[0]}); Keras writes weights as "
                              "they are: copy them to a file without compression")
        declared = data.dtype.itemsize
        for side in data.shape or (0,):
            declared *= side  # Python's whole numbers do not overflow
        self.declared += declared
        self.stored += min(data.id.get_storage_size(), self.size)
        if self.declared > self.largest:
            raise self.refuse(f"with {where!r} its data sets declare {self.declared:,} bytes; at most "
                              f"{self.largest:,} are read")
        if self.declared > min(self.stored, self.size) + SLACK:
            raise self.refuse(f"with {where!r} its data sets declare {self.declared:,} bytes and hold {self.stored:,}")
        self.attributes(data, where)

    def more(self, count: int) -> None:
        self.objects += count
        if self.objects > OBJECTS:
            raise self.refuse(f"it has more than {OBJECTS:,} objects and attributes")

    def rest(self) -> None:
        """Texts of any length lie beside the data sets, and all of a list may be the same long one."""
        beside = self.size - min(self.stored, self.size)
        if beside > ATTRIBUTE or beside * self.texts > self.largest:
            raise self.refuse(f"{beside:,} of its bytes are in no data set, and up to {self.texts:,} texts of an "
                              f"attribute lie there; at most {ATTRIBUTE:,} and {self.largest:,} in all are read")

    def attributes(self, item: Any, where: str) -> None:
        import h5py

        self.more(len(item.attrs))
        for name in item.attrs:
            number = h5py.h5a.open(item.id, name.encode())
            kind = number.get_type()
            plain = (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID, h5py.h5t.TypeEnumID)
            if not isinstance(kind, plain):
                raise self.refuse(f"attribute {name[:40]!r} of {where!r} is neither text nor numbers")
            count = number.get_space().get_simple_extent_npoints()
            if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
                self.texts = max(self.texts, count)
            if kind.get_size() * count > ATTRIBUTE:
                raise self.refuse(f"attribute {name[:40]!r} of {where!r} has {kind.get_size() * count:,} bytes")
