"""Puts ONNX Runtime for browsers into the package when it is built: `tenfold export RUN html` needs no download.

Without network the package is built all the same; `tenfold export RUN html --fetch` gets the files later.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("tenfold/export/page")


class RuntimeHook(BuildHookInterface):
    """Downloads the pinned archive, checks its SHA-256, and keeps the two files that a page needs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root) / PAGE / "runtime"
        try:
            if not folder.is_dir():
                self._fetch(folder)
        except (OSError, ValueError, KeyError, tarfile.TarError) as error:
            self.app.display_warning(f"built without onnxruntime-web: {error}")
            return
        build_data["artifacts"].append(f"/{PAGE}/runtime/*")

    def _fetch(self, folder: Path) -> None:
        text = (Path(self.root) / PAGE / "runtime.py").read_text(encoding="utf-8")
        release = re.search(r'VERSION = "([^"]+)"', text)[1]
        url = re.search(r'url=f"([^"]+)"', text)[1].replace("{VERSION}", release)
        expected = re.search(r'sha256="([0-9a-f]{64})"', text)[1]
        with urllib.request.urlopen(url, timeout=60) as response:
            content = response.read()
        if hashlib.sha256(content).hexdigest() != expected:
            raise ValueError(f"{url} has another SHA-256 than expected")
        found = {}
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for name in re.findall(r'"(ort[\w.-]+\.(?:mjs|wasm))"', text):
                found[name] = archive.extractfile(f"package/dist/{name}").read()
        folder.mkdir(parents=True)
        for name, data in found.items():
            (folder / name).write_bytes(data)
