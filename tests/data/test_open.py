"""Opening by name, listing, and where data sets are looked for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows

from tenfold.data import Dataset, Provenance, Split, catalogue, data_root, open_dataset
from tenfold.data.location import keras_cache
from tenfold.errors import DataError, UnknownNameError, UsageError
from tenfold.registry import DATASETS


def test_an_unknown_name_gets_a_suggestion_and_the_list():
    with pytest.raises(UnknownNameError, match="'cifar-10'; did you mean 'cifar10'") as caught:
        open_dataset("cifar-10:x")
    assert all(name in str(caught.value) for name in DATASETS.names() if name != "kept")


@pytest.mark.parametrize("uri", ["./photos", "C:\\photos", "/data/photos"])
def test_a_path_instead_of_a_name_is_quoted_in_full(uri):
    with pytest.raises(UsageError) as caught:
        open_dataset(uri)
    assert f"data set {uri}: no such file or folder" in str(caught.value)
    assert "cifar10" in str(caught.value)


def test_digits():
    dataset = open_dataset("digits")
    assert dataset.train.images.shape == (1797, 8, 8, 1)
    assert dataset.train.images.max() == 255
    assert set(np.unique(dataset.train.images)) <= {round(v * 255 / 16) for v in range(17)}
    assert dataset.test is None
    assert dataset.classes == tuple("0123456789")
    with pytest.raises(UsageError, match="has no options"):
        open_dataset("digits:8")


def test_images_that_a_run_keeps_are_not_offered_but_open(root):
    assert "kept" not in catalogue(root)
    with pytest.raises(UsageError, match=r"one of: (?!.*kept)"):
        open_dataset("no/such/folder")
    with pytest.raises(UsageError, match="expected kept:PATH"):
        open_dataset("kept:no/such/folder")


def test_the_catalogue_lists_data_sets_and_their_locations(root):
    (root / "cifar-10-batches-bin").mkdir()
    found = catalogue(root)
    assert list(found) == [name for name in DATASETS.names() if name != "kept"]
    assert found["cifar10"]["where"] == str(root / "cifar-10-batches-bin")
    assert found["mnist"]["where"] is None
    assert found["digits"]["where"] == "comes with scikit-learn"
    assert found["folder"]["where"] == "your files"
    for name, entry in found.items():
        assert 20 < len(entry["description"]) < 100, name
        assert entry["description"].endswith("."), name


def test_the_root_comes_from_the_environment_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path))
    assert data_root() == tmp_path
    with pytest.raises(DataError, match=str(tmp_path)):
        open_dataset("mnist")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        (Unix, {}, "home/.cache/tenfold"),
        (Unix, {"XDG_CACHE_HOME": "/cache"}, "/cache/tenfold"),
        (Unix, {"XDG_CACHE_HOME": "relative"}, "home/.cache/tenfold"),
        (MacOS, {}, "home/Library/Caches/tenfold"),
        (Windows, {"WIN_PD_OVERRIDE_LOCAL_APPDATA": "C:\\local"}, "C:\\local/tenfold"),
    ],
)
def test_the_default_root_is_in_the_cache_of_the_platform(monkeypatch, tmp_path, platform, variables, expected):
    for name in ("TENFOLD_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path / "home"), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(platformdirs, "PlatformDirs", platform)
    assert data_root() == (Path(expected) if platform is Windows else tmp_path / expected)


def test_keras_cache_is_where_keras_looks(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_cache() == tmp_path / "datasets"


def test_listing_imports_neither_engine_nor_readers():
    heavy = ("torch", "keras", "pyarrow", "PIL", "sklearn", "scipy")
    code = ("import sys, tenfold.data; tenfold.data.catalogue()\n"
            f"print([name for name in {heavy} if name in sys.modules])")
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"


# ----------------------------------------------------------------------------------------------------
# the values


def split(n: int = 4, labels=None, **values) -> Split:
    return Split(np.zeros((n, 8, 8, 1), np.uint8), np.arange(n) % 2 if labels is None else labels,
                 Provenance("made up", **values))


def test_a_split_refuses_other_dtypes_and_lengths():
    with pytest.raises(DataError, match="images are float64"):
        Split(np.zeros((4, 8, 8, 1)), np.zeros(4, np.int64), Provenance("x"))
    with pytest.raises(DataError, match=r"labels are int64 \[3\]; expected int64 \[4\]"):
        split(4, np.zeros(3, np.int64))


def test_a_split_of_lists_is_refused_in_one_line():
    images = np.zeros((2, 8, 8, 1), np.uint8)
    with pytest.raises(DataError, match=r"^images: received a list; expected an array[^\n]*$"):
        Split(list(images), np.zeros(2, np.int64), Provenance("x"))
    with pytest.raises(DataError, match=r"^labels: received a list; expected an array[^\n]*$"):
        Split(images, [0, 1], Provenance("x"))


def test_a_data_set_refuses_a_single_class_and_labels_out_of_range():
    with pytest.raises(DataError, match="has 1 class; expected at least 2"):
        Dataset("x", "x", ("a",), train=split())
    with pytest.raises(DataError, match="test labels run from 0 to 2"):
        Dataset("x", "x", ("a", "b"), train=split(), test=split(3, np.arange(3)))


def test_a_selection_from_a_partial_split_is_partial():
    whole, part = split(4, expected=4), split(4, expected=5)
    assert not whole.take(np.array([1, 2]), "some").partial
    assert part.take(np.array([1, 2]), "some").partial
    assert part.describe() == "made up: PARTIAL, 4 of 5 images"
    assert whole.take(np.array([2, 0])).labels.tolist() == [0, 0]


def test_the_fingerprint_depends_on_pixels_labels_order_and_classes():
    base = Dataset("x", "x", ("a", "b"), train=split())
    images = base.train.images.copy()
    images[3, 7, 7, 0] = 1
    changed = [
        Dataset("x", "x", ("b", "a"), train=split()),
        Dataset("x", "x", ("a", "b"), train=split(labels=np.array([1, 0, 1, 0]))),
        Dataset("x", "x", ("a", "b"), train=split(), test=split()),
        Dataset("x", "x", ("a", "b"), train=Split(images, base.train.labels, base.train.provenance)),
    ]
    assert len({base.fingerprint(), *(other.fingerprint() for other in changed)}) == 5
    assert Dataset("y", "y", ("a", "b"), train=split()).fingerprint() == base.fingerprint()
