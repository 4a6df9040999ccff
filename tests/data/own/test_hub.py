"""Data sets of the Hugging Face Hub, from a small Hub on this machine."""

import hashlib
import http.server
import json
import sys
import threading
import urllib.parse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from watchers import Listen

from tenfold.data import canonical, data_name, open_dataset
from tenfold.data.source import Access
from tenfold.errors import DataError, FetchError, MissingExtraError, UsageError
from tenfold.jobs.own_data import with_source
from tenfold.progress import Advance
from tenfold.recipe import Recipe

MAIN, CONVERTED = "a" * 40, "b" * 40
LATER = "c" * 40
CONVERTED_BRANCH = "refs/convert/parquet"


class Hub(http.server.ThreadingHTTPServer):
    """Serves data sets: `branches` gives commits by (data set, branch), `files` content by commit and path."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.branches: dict[tuple[str, str], str] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        self.broken: set[str] = set()  # paths that are not served

    def add(self, repository: str, branch: str, commit: str, files: dict[str, bytes]) -> None:
        self.branches[repository, branch] = commit
        self.files[commit] = files


class Handler(http.server.BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "datasets"]:
            return self.api("/".join(parts[2:4]), parts[4:])
        commit, name = parts[4], "/".join(parts[5:])
        content = self.server.files.get(commit, {}).get(name)
        if content is None or (name in self.server.broken and self.command == "GET"):
            return self.answer(404, {"X-Error-Code": "EntryNotFound"})
        etag = hashlib.sha256(content).hexdigest()
        self.answer(200, {"ETag": f'"{etag}"', "X-Repo-Commit": commit}, content)

    def api(self, repository: str, rest: list[str]) -> None:
        if repository not in {name for name, _ in self.server.branches}:
            return self.answer(404, {"X-Error-Code": "RepoNotFound"})
        if rest[:1] == ["tree"]:
            return self.json([{"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                              for name, content in self.server.files[rest[1]].items()])
        branch = "/".join(rest[1:]) or "main"
        commit = self.server.branches.get((repository, branch), branch if branch in self.server.files else None)
        if commit is None:
            return self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        self.json({"id": repository, "sha": commit,
                   "siblings": [{"rfilename": name} for name in self.server.files[commit]]})

    def json(self, value: object) -> None:
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A running Hub with an empty cache."""
    for name in ("HF_HUB_CACHE", "HF_XET_CACHE"):
        monkeypatch.setattr(constants, name, str(tmp_path / name))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    with Hub() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_port}")
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def files(tmp_path, rng, write_parquet):
    """The content of three parquet files: two of 10 training images, one of 6 test images."""
    contents = []
    for number, count in enumerate((10, 10, 6)):
        path = tmp_path / f"written-{number}.parquet"
        write_parquet(path, rng.integers(0, 256, (count, 16, 16, 3), np.uint8), np.arange(count) % 2, "image")
        contents.append(path.read_bytes())
    return contents


def own_files(files, folder="data"):
    names = ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")
    return {f"{folder}/{name}.parquet": content for name, content in zip(names, files, strict=True)}


def test_the_images_and_splits_of_the_data_set_are_read(hub, files):
    hub.add("someone/pets", "main", MAIN, {"README.md": b"pets", **own_files(files)})
    listen = Listen()
    dataset = open_dataset("hf:someone/pets", fetch=True, watcher=listen)
    assert dataset.name == "pets"
    assert dataset.uri == f"hf:someone/pets@{MAIN}"
    assert dataset.classes == ("0", "1")
    assert dataset.shape == (16, 16, 3)
    assert {name: len(split) for name, split in dataset.splits().items()} == {"train": 20, "test": 6}
    assert dataset.train.describe() == f"the data set hf:someone/pets@{MAIN}"
    assert sorted(dataset.train.names)[0] == "train-00000-of-00002.parquet row 0"
    size = sum(map(len, files))
    assert Advance("download", size, size, "bytes") in listen.events
    assert not [request for request in hub.requests if "README" in request]


def test_the_tables_made_by_the_hub_are_read_where_there_are_no_others(hub, files):
    hub.add("someone/pets", "main", MAIN, {"images.zip": b"zipped"})
    tables = {f"default/{split}/0000.parquet": content
              for split, content in (("train", files[0]), ("test", files[2]))}
    hub.add("someone/pets", CONVERTED_BRANCH, CONVERTED, tables)
    dataset = open_dataset("hf:someone/pets", fetch=True)
    assert dataset.uri == f"hf:someone/pets@{CONVERTED}"
    assert {name: len(split) for name, split in dataset.splits().items()} == {"train": 10, "test": 6}
    assert dataset.train.names[0] == "train/0000.parquet row 0"


def test_a_run_keeps_the_commit(hub, files):
    hub.add("someone/pets", "main", MAIN, own_files(files))
    recipe = with_source(Recipe.load("cnn2"), "hf:someone/pets")
    assert recipe.data.source == f"hf:someone/pets@{MAIN}"
    first = open_dataset(recipe.data.source, fetch=True)
    hub.add("someone/pets", "main", LATER, own_files(files[::-1]))
    again = open_dataset(recipe.data.source, fetch=False)
    assert again.fingerprint() == first.fingerprint()
    assert canonical("hf:someone/pets") == f"hf:someone/pets@{LATER}"


def test_a_cached_data_set_is_read_without_the_hub(hub, files, monkeypatch):
    hub.add("someone/pets", "main", MAIN, own_files(files))
    first = open_dataset("hf:someone/pets", fetch=True)
    hub.requests.clear()
    assert open_dataset("hf:someone/pets", fetch=False).fingerprint() == first.fingerprint()
    assert open_dataset(first.uri, fetch=True).fingerprint() == first.fingerprint()
    assert hub.requests == []
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert open_dataset("hf:someone/pets", fetch=True).uri == first.uri
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert open_dataset("hf:someone/pets", fetch=True).uri == first.uri


def test_a_data_set_that_is_not_cached_says_how_to_get_it(hub, files, monkeypatch):
    hub.add("someone/pets", "main", MAIN, own_files(files))
    advice = r"^hf:someone/pets\S*: is not in the cache of the Hub .*tenfold data fetch hf:someone/pets[^\n]*$"
    for uri in ("hf:someone/pets", f"hf:someone/pets@{MAIN}"):
        with pytest.raises(DataError, match=advice):
            open_dataset(uri, fetch=False)
    assert hub.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FetchError, match=r"^hf:someone/pets: can't be downloaded \([^\n]*offline[^\n]*$"):
        open_dataset("hf:someone/pets", fetch=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FetchError, match=r"^hf:someone/pets: can't be downloaded \([^\n]*refused[^\n]*$"):
        open_dataset("hf:someone/pets", fetch=True)


def test_an_incomplete_download_is_not_taken_for_the_data_set(hub, files):
    hub.add("someone/pets", "main", MAIN, own_files(files))
    hub.broken.add("data/train-00001-of-00002.parquet")
    with pytest.raises(FetchError, match="can't be downloaded"):
        open_dataset("hf:someone/pets", fetch=True)
    with pytest.raises(DataError, match="is not in the cache"):
        open_dataset("hf:someone/pets", fetch=False)
    hub.broken.clear()
    assert len(open_dataset("hf:someone/pets", fetch=True).train) == 20


def test_one_of_several_configurations_must_be_chosen(hub, files):
    hub.add("someone/pets", "main", MAIN, own_files(files, "cats") | own_files(files[::-1], "dogs"))
    with pytest.raises(UsageError, match="it has 2 configurations; expected one of cats, dogs, as in hf:someone"):
        open_dataset("hf:someone/pets", fetch=True)
    dataset = open_dataset("hf:someone/pets:dogs", fetch=True)
    assert len(dataset.train) == 16
    assert dataset.uri == f"hf:someone/pets:dogs@{MAIN}"
    assert not [request for request in hub.requests if "/cats/" in request]
    with pytest.raises(UsageError, match="received the configuration 'birds'; expected one of cats, dogs"):
        open_dataset("hf:someone/pets:birds", fetch=True)


def test_a_revision_may_be_a_branch(hub, files):
    hub.add("someone/pets", "main", MAIN, {})
    hub.add("someone/pets", "v1", LATER, own_files(files))
    assert canonical("hf:someone/pets@v1") == f"hf:someone/pets@{LATER}"
    with pytest.raises(FetchError, match="hf:someone/pets@v2: the Hub has no such revision"):
        canonical("hf:someone/pets@v2")


def test_what_the_hub_lacks_is_said_in_one_line(hub):
    with pytest.raises(FetchError, match=r"^hf:someone/nothing: the Hub has no such data set[^\n]*$"):
        open_dataset("hf:someone/nothing", fetch=True)
    hub.add("someone/text", "main", MAIN, {"text.csv": b"a,b"})
    with pytest.raises(DataError, match=r"^hf:someone/text: has no parquet files[^\n]*$"):
        open_dataset("hf:someone/text", fetch=True)


@pytest.mark.parametrize("uri", ["hf", "hf:", "hf:pets", "hf:a/b/c", "hf:a/b@", "hf:a/b:", "hf:../b c"])
def test_an_invalid_name_is_refused(uri):
    with pytest.raises(UsageError, match=r"data set hf: received .*; expected hf:OWNER/NAME"):
        open_dataset(uri)


def test_the_name_of_the_data_set_names_the_run():
    assert data_name(f"hf:someone/pets:cats@{MAIN}") == "pets"


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"^[^\n]*pip install 'tenfold\[hub\]'$"):
        open_dataset("hf:someone/pets", fetch=True)


def test_own_files_keep_working_without_the_hub(tmp_path, files, access: Access, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tables").mkdir()
    for name, content in zip(("train", "test"), files[1:], strict=True):
        Path(tmp_path / "tables" / f"{name}.parquet").write_bytes(content)
    assert len(open_dataset(f"parquet:{tmp_path / 'tables'}", replace(access, fetch=True).root).test) == 6
