"""Archives of a tree of images: read in place, whatever members they have."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from made_images import by_name, digit_tree, drawn, encoded, left_out, plant

from tenfold.data.dataset import Dataset
from tenfold.errors import DataError

Read = Callable[..., Dataset]
DOTS = encoded(drawn(0))
KINDS = [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"]


def pack(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """An archive of files of the kind that the path says; members whose names end in "/" are folders."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name), content)
        return path
    with tarfile.open(path, "w:" + {".tar": "", ".tgz": "gz"}.get(path.suffix, path.suffix[1:])) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name.rstrip("/"))
            member.size, member.type = len(content), tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_of_a_folder_is_the_same_data_set_as_the_folder(tmp_path: Path, read: Read, kind: str) -> None:
    tree = {name: encoded(image) for name, image in digit_tree(60, 4).items()}
    folder = read(plant(tmp_path / "photos", tree))
    archive = read(pack(tmp_path / f"photos{kind}", [(f"./photos/{name}", tree[name]) for name in reversed(tree)]))
    assert (archive.name, archive.fingerprint()) == (folder.name, folder.fingerprint())
    assert by_name(archive) == {f"photos/{name}": found for name, found in by_name(folder).items()}


def test_nothing_is_unpacked_beside_the_archive(tmp_path: Path, read: Read, cache: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    read(pack(here / "pets.zip", [("cat/a.png", DOTS), ("dog/b.png", DOTS)]))
    assert [path.name for path in here.iterdir()] == ["pets.zip"]
    assert {path.suffix for path in cache.iterdir()} <= {".npy", ".json", ".lock"}


@pytest.mark.parametrize("kind", [".zip", ".tar"])
def test_members_outside_the_tree_and_in_the_way_are_left_out_and_named(
    tmp_path: Path, read: Read, kind: str
) -> None:
    path = pack(tmp_path / f"pets{kind}", [
        ("cat/a.png", DOTS), ("dog/b.png", DOTS), ("../cat/c.png", DOTS), ("/cat/d.png", DOTS),
        ("cat/../../e.png", DOTS), ("C:/cat/f.png", DOTS), ("__MACOSX/cat/._a.png", b"x"), ("cat/bad.png", b"x"),
        ("readme.txt", b"x")])
    dataset = read(path)
    assert sorted(by_name(dataset)) == ["cat/a.png", "dog/b.png"]
    outside = "its path leads out of the archive"
    reasons = left_out(dataset)
    assert reasons.pop("cat/bad.png").startswith("can't be read as an image")
    assert reasons == {
        "../cat/c.png": outside, "/cat/d.png": outside, "cat/../../e.png": outside, "C:/cat/f.png": outside,
        "__MACOSX": "it is hidden or belongs to the operating system", "readme.txt": "it is no image, by its name"}


@pytest.mark.parametrize("kind", [".zip", ".tar"])
def test_of_two_members_with_one_name_the_later_counts(tmp_path: Path, read: Read, kind: str) -> None:
    pictures = [encoded(drawn(i)) for i in range(3)]
    with pytest.warns(UserWarning, match="Duplicate name") if kind == ".zip" else pytest.MonkeyPatch.context():
        path = pack(tmp_path / f"pets{kind}", [("cat/a.png", pictures[0]), ("./cat/a.png", pictures[1]),
                                               ("dog/b.png", pictures[1]), ("cat/a.png", pictures[2])])
    dataset = read(path)
    folder = read(plant(tmp_path / "pets", {"cat/a.png": pictures[2], "dog/b.png": pictures[1]}))
    assert dataset.fingerprint() == folder.fingerprint()
    assert left_out(dataset) == {"cat/a.png": "a later file has its name"}
    assert len(dataset.left_out) == 2


def test_links_in_a_tar_are_left_out_and_named(tmp_path: Path, read: Read) -> None:
    path = pack(tmp_path / "pets.tar", [("cat/a.png", DOTS), ("dog/b.png", DOTS)])
    with tarfile.open(path, "a") as archive:
        for kind, name in ((tarfile.SYMTYPE, "soft"), (tarfile.LNKTYPE, "hard"), (tarfile.CHRTYPE, "device")):
            member = tarfile.TarInfo(f"cat/{name}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert left_out(read(path)) == dict.fromkeys(["cat/soft.png", "cat/hard.png", "cat/device.png"],
                                                 "it is a link, or no regular file")


def test_backslashes_of_old_windows_programs_separate_folders(tmp_path: Path, read: Read) -> None:
    path = pack(tmp_path / "pets.zip", [("cat\\a.png", DOTS), ("dog\\b.png", DOTS)])
    assert read(path).classes == ("cat", "dog")


def test_empty_folders_count_as_classes_of_an_archive_too(tmp_path: Path, read: Read) -> None:
    for kind in (".zip", ".tar"):
        path = pack(tmp_path / f"pets{kind}", [("cat/a.png", DOTS), ("dog/b.png", DOTS), ("eel/", b"")])
        with pytest.raises(DataError, match="1 class folder holds no images: eel"):
            read(path)
        assert read(path, allow_empty=True).classes == ("cat", "dog", "eel")


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_archive_is_refused_in_one_line(tmp_path: Path, read: Read, kind: str) -> None:
    path = pack(tmp_path / f"pets{kind}", [("cat/a.png", DOTS), ("dog/b.png", DOTS)])
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[: min(600, len(whole) // 2)]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"^[^\n]*pets{kind}: [^\n]*expected [^\n]*$"):
            read(path)


def test_an_encrypted_zip_is_refused_in_one_line(tmp_path: Path, read: Read) -> None:
    path = pack(tmp_path / "pets.zip", [("cat/a.png", DOTS), ("dog/b.png", DOTS)])
    content = bytearray(path.read_bytes())
    for signature, flag in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := content.find(signature, at + 1)) >= 0:
            content[at + flag] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^[^\n]*none of its 2 images can be read[^\n]*encrypted[^\n]*$"):
        read(path)
