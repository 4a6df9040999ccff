"""ONNX Runtime for browsers: the two files of `onnxruntime-web` that a page needs, pinned and checked by hash.

They are put into the package when its wheel is built (`hatch_build.py`); otherwise `fetch` puts them into the cache.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tenfold.data.fetch import Archive, extract
from tenfold.data.location import feature_root
from tenfold.data.source import Access
from tenfold.errors import MissingExtraError
from tenfold.progress import SILENT, Watcher

VERSION = "1.30.0"
ARCHIVE = Archive(
    url=f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",
    sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    size=33_106_585,
)
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
FILES = {  # with their SHA-256
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
PACKAGED = Path(__file__).parent / "runtime"


def runtime_files() -> tuple[bytes, bytes]:
    """(script, WebAssembly) of the runtime. Raises MissingExtraError if they are not on this machine."""
    for folder in (PACKAGED, _cache() / "dist"):
        found = [folder / name for name in FILES]
        if all(path.is_file() for path in found):
            content = [path.read_bytes() for path in found]
            if [hashlib.sha256(each).hexdigest() for each in content] == list(FILES.values()):
                return content[0], content[1]
    raise MissingExtraError(f"the format html needs onnxruntime-web {VERSION}, which is not on this machine; get it "
                            f"with `tenfold export RUN html --fetch` ({ARCHIVE.size / 1e6:.0f} MB)")


def fetch(watcher: Watcher = SILENT) -> None:
    """Download the runtime into the cache, unless it is on this machine. Raises FetchError, StorageError."""
    try:
        runtime_files()
    except MissingExtraError:
        home = _cache().parent
        archive = ARCHIVE.fetch(home, Access(home, fetch=True, watcher=watcher))
        extract(archive, [f"package/dist/{name}" for name in FILES], _cache())
        archive.unlink(missing_ok=True)


def _cache() -> Path:
    return feature_root().with_name("onnxruntime-web") / VERSION
