"""The npm packages that a page contains, pinned, and the folder that keeps their files: each compressed with xz.

`hatch_build.py` runs this file by itself when Tenfold's wheel is built, so it imports nothing of Tenfold.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

MEMBER = "package/dist/"  # where npm archives have the files
SUFFIX = ".xz"
# The fewest bytes, for scripts and WebAssembly, in which nothing is aligned (pb). Slow, but done only once.
SMALLEST = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 24, "pb": 0}]

DECODER, SCRIPT, WASM = "xz-decompress.min.js", "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


class Package(NamedTuple):
    """A version of an npm package, with the SHA-256 and the size of its archive.

    notice: its copyright, for the text of the licences; files: path in the archive → SHA-256 of each file that a page
    needs.
    """

    name: str
    version: str
    sha256: str
    size: int
    notice: str
    files: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"https://registry.npmjs.org/{self.name}/-/{self.name}-{self.version}.tgz"


PACKAGES = (
    Package(
        "onnxruntime-web", "1.30.0", "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71", 33_106_585,
        "Copyright (c) Microsoft Corporation. All rights reserved.",
        {SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
         WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"}),
    Package(
        "xz-decompress", "0.2.3", "b590b7ea774bd82e812d74c572d6c9fcd4abef4da752c974e8d335439f63e69c", 14_444,
        "Copyright (c) Tim Perry. Based on xzwasm, Copyright (c) Steve Sanderson.\nContains walloc, Copyright (c) 2020 "
        "Igalia, S.L., and XZ Embedded by Lasse Collin and Igor Pavlov (public domain).",
        {f"package/{DECODER}": "d83649874b6198df07340a88377613ccd2267aebb9f18b3be26c6904a81bac52"}),
)


def paths(package: Package, folder: Path) -> dict[str, Path]:
    """Where a folder keeps the files of a package: path in the archive → path."""
    return {name: folder / (name.rpartition("/")[2] + SUFFIX) for name in package.files}


def store(package: Package, archive: bytes, folder: Path) -> None:
    """Write the files of a package that a page needs into a folder, compressed.

    Raises ValueError if the archive or a file in it has another SHA-256, KeyError if a file is missing in it.
    """
    _check(archive, package.sha256, package.url)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for name, path in paths(package, folder).items():
            file = tar.extractfile(MEMBER + name)
            content = file.read() if file else b""
            _check(content, package.files[name], name)
            path.write_bytes(lzma.compress(content, check=lzma.CHECK_CRC32, filters=SMALLEST))


def stored(package: Package, folder: Path) -> dict[str, bytes] | None:
    """The files of a package in a folder: name → content as xz; None if one is missing, damaged or of another version.
    """
    found = {}
    for name, path in paths(package, folder).items():
        try:
            content = path.read_bytes()
            _check(lzma.decompress(content), package.files[name], name)
        except (OSError, ValueError, lzma.LZMAError):
            return None
        found[path.name.removesuffix(SUFFIX)] = content
    return found


def _check(content: bytes, sha256: str, name: str) -> None:
    received = hashlib.sha256(content).hexdigest()
    if received != sha256:
        raise ValueError(f"{name} has SHA-256 {received}; expected {sha256}")
