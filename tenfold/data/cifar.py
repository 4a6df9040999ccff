"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009, "Learning multiple layers of features from tiny images") in all common
layouts: the official binary and Python batches, Hugging Face parquet and the Keras cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.data.cifar_batches import SHAPE, Labels, read_binary, read_pickled
from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.fetch import Archive, extract
from tenfold.data.location import ADVICE, keras_cache
from tenfold.data.options import Choice, parse_options, take_no_options
from tenfold.data.parquet import find_parquet, read_splits
from tenfold.data.source import Access, Place, source
from tenfold.errors import DataError
from tenfold.registry import DATASETS
from tenfold.storage.locks import lock_path, locked

COUNTS = {"train": 50_000, "test": 10_000}


@dataclass(frozen=True)
class Version:
    """CIFAR-10 or CIFAR-100, and the places to look for it.

    labels: each kind of labels, in the order of the bytes of a binary record; binary, pickled: folders of the official
    files; batches: the files of each split (with `.bin` in the binary version); tables: folders of parquet files.
    """

    name: str
    labels: Mapping[str, Labels]
    binary: str
    pickled: str
    batches: Mapping[str, tuple[str, ...]]
    tables: tuple[str, ...]
    archive: Archive

    @property
    def files(self) -> tuple[str, ...]:
        """The files of a folder of Python batches."""
        return tuple(file for files in self.batches.values() for file in files)


CIFAR10 = Version(
    "cifar10",
    {"class": Labels(("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
                     "labels", "label")},
    "cifar-10-batches-bin", "cifar-10-batches-py",
    {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
    ("cifar10/plain_text", "plain_text", "cifar10"),
    Archive("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", 170_052_171),
)

COARSE = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
    insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
    medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
"""
FINE = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
CIFAR100 = Version(
    "cifar100",
    {"coarse": Labels(tuple(COARSE.split()), "coarse_labels", "coarse_label"),
     "fine": Labels(tuple(FINE.split()), "fine_labels", "fine_label")},
    "cifar-100-binary", "cifar-100-python", {"train": ("train",), "test": ("test",)},
    ("cifar100/cifar100", "cifar100"),
    Archive("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", 168_513_733),
)
OPTIONS = {"labels": Choice(("fine", "coarse"))}


@DATASETS.add("cifar10")
@source(where=lambda root: where_cifar(CIFAR10, root))
def cifar10(options: str, access: Access) -> Dataset:
    """CIFAR-10: 60,000 colour photographs of 32×32 pixels in ten classes.

    Looks in the root for `cifar-10-batches-bin/`, `cifar-10-batches-py/` and Hugging Face parquet, then in the
    Keras cache. If none is found and downloads are allowed, downloads the binary version into the root.
    Raises UsageError for options, DataError for missing or damaged files, FetchError, StorageError.
    """
    take_no_options("cifar10", options)
    return open_cifar(CIFAR10, "class", "cifar10", access)


@DATASETS.add("cifar100")
@source(where=lambda root: where_cifar(CIFAR100, root))
def cifar100(options: str, access: Access) -> Dataset:
    """CIFAR-100: 60,000 colour photographs of 32×32 pixels in 100 classes (labels=coarse: in 20).

    Looks in the root for `cifar-100-binary/`, `cifar-100-python/` and Hugging Face parquet, then in the Keras cache.
    If none is found and downloads are allowed, downloads the binary version into the root. Raises UsageError for
    invalid options, DataError for missing or damaged files, FetchError, StorageError.
    """
    kind = parse_options("cifar100", options, OPTIONS)["labels"]
    return open_cifar(CIFAR100, kind, "cifar100" if kind == "fine" else f"cifar100:labels={kind}", access)


def open_cifar(
    version: Version, kind: str, uri: str, access: Access, counts: Mapping[str, int] = COUNTS
) -> Dataset:
    """Open CIFAR with one kind of labels from the first place that has it.

    `counts` are the official numbers of images.
    """
    place = locate_cifar(version, access.root)
    if place is None and access.fetch:
        fetch_cifar(version, access)
        place = locate_cifar(version, access.root)
    if place is None:
        raise DataError(f"{version.name} is not in {access.root}; expected {version.binary}/, {version.pickled}/ or "
                        f"{version.tables[0]}/*.parquet there; run 'tenfold data fetch {version.name}' "
                        f"({version.archive.size / 1e6:.0f} MB) or set TENFOLD_DATA")
    labels = version.labels[kind]
    if place.layout == "parquet":
        access.watcher.notice(f"reading {version.name} from {place.path}")
        splits = read_splits(place, SHAPE, len(labels.classes), counts, access.watcher, labels.column)
    else:
        splits = {name: _from_batches(version, kind, place, name, count) for name, count in counts.items()}
    return Dataset(version.name, uri, tuple(labels.classes), train=splits["train"], test=splits["test"])


def where_cifar(version: Version, root: Path) -> str | None:
    """The location of this CIFAR, None if it is not on this machine."""
    place = locate_cifar(version, root)
    return str(place.path) if place else None


def locate_cifar(version: Version, root: Path) -> Place | None:
    """The first copy of this CIFAR in `root` or the Keras cache, None if there is none."""
    for layout, folder in (("binary", version.binary), ("pickled", version.pickled)):
        if (root / folder).is_dir():
            return Place(layout, root / folder, folder)
    for folder in version.tables:
        if find_parquet(root / folder, "train"):
            return Place("parquet", root / folder, folder)
    pickled = version.pickled
    for path in (keras_cache() / pickled, keras_cache() / f"{pickled}-target" / pickled):
        if (path / version.files[0]).is_file():
            return Place("pickled", path, f"Keras' cache, {pickled}")
    return None


def fetch_cifar(version: Version, access: Access) -> Path:
    """Download and unpack the binary version into the root; return its folder.

    Raises FetchError or StorageError.
    """
    folder, local = access.root / version.binary, access.root / version.archive.name
    kept = local.exists()  # the user put it there, so keep it
    version.archive.fetch(access.root, access)
    with locked(lock_path(folder), advice=ADVICE):
        extract(local, [f"{version.binary}/{name}.bin" for name in version.files], folder)
    if not kept:
        local.unlink(missing_ok=True)
    return folder


def _from_batches(version: Version, kind: str, place: Place, split: str, count: int) -> Split:
    """A split from its official files, which have equal numbers of images."""
    labels, names = version.labels[kind], version.batches[split]
    position, each = list(version.labels).index(kind), count // len(names)
    batches = [
        read_binary(place.path / f"{name}.bin", each, labels, position, len(version.labels))
        if place.layout == "binary" else read_pickled(place.path / name, each, labels) for name in names]
    images = np.concatenate([images for images, _ in batches])
    return Split(images, np.concatenate([numbers for _, numbers in batches]),
                 Provenance(f"official {split} split ({place.words})", count))
