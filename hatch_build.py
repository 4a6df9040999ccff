"""Puts ONNX Runtime for browsers into the package when it is built: `tenfold export RUN html` needs no download.

Without network the package is built all the same; `tenfold export RUN html --fetch` gets the files later.
"""

from __future__ import annotations

import runpy
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("tenfold/export/page")


class RuntimeHook(BuildHookInterface):
    """Downloads the pinned archives, checks their SHA-256, and keeps the files that a page needs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        packages = runpy.run_path(str(Path(self.root) / PAGE / "packages.py"))
        folder = Path(self.root) / PAGE / "runtime"
        folder.mkdir(exist_ok=True)
        wanted = [path for package in packages["PACKAGES"] for path in packages["paths"](package, folder).values()]
        for path in set(folder.iterdir()) - set(wanted):
            path.unlink()  # of another version
        for package in packages["PACKAGES"]:
            try:
                if packages["stored"](package, folder) is None:
                    with urllib.request.urlopen(package.url, timeout=60) as response:
                        packages["store"](package, response.read(), folder)
            except (OSError, ValueError, KeyError, tarfile.TarError) as error:
                self.app.display_warning(f"built without {package.name}: {error}")
        build_data["artifacts"].append(f"/{PAGE}/runtime/*")
