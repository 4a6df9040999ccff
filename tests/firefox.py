"""Firefox, driven by Marionette: JSON messages over a socket that Firefox opens itself. It needs no other program."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SECONDS = 120  # to wait for Firefox, for a page and for an answer
PREFERENCES = {
    "marionette.port": 0, "browser.shell.checkDefaultBrowser": False, "network.dns.disabled": True,
    "datareporting.policy.dataSubmissionEnabled": False, "app.update.disabledForTesting": True,
    "browser.download.folderList": 2, "browser.download.useDownloadDir": True,
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.helperApps.neverAsk.saveToDisk": "text/csv", "toolkit.startup.max_resumed_crashes": -1,
}
# Messages of pages, not those of Firefox itself: from the console service (errors, also of a content security policy)
# and from `console.error`.
COMPLAINTS = """
  const here = name => /^(file|blob):/.test(name || "");
  const said = Services.console.getMessageArray()
    .filter(each => each instanceof Ci.nsIScriptError && here(each.sourceName)).map(each => each.errorMessage);
  const storage = Cc["@mozilla.org/consoleAPI-storage;1"].getService(Ci.nsIConsoleAPIStorage);
  return said.concat(storage.getEvents().filter(each => here(each.filename)).map(each => each.arguments.join(" ")));
"""


class Firefox:
    """A headless Firefox with a profile of its own; downloads go to `downloads`."""

    def __init__(self, executable: str, folder: Path) -> None:
        self.downloads = folder / "downloads"
        profile = folder / "profile"
        for path in (self.downloads, profile):
            path.mkdir()
        preferences = {**PREFERENCES, "browser.download.dir": str(self.downloads)}
        (profile / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
                                                 for name, value in preferences.items()))
        self._process = subprocess.Popen(
            [executable, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile",
             str(profile)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder), "MOZ_DISABLE_CONTENT_SANDBOX": "1"})
        self._number = 0
        self._socket = socket.create_connection(("127.0.0.1", self._port(profile)), SECONDS)
        self._socket.settimeout(SECONDS)
        self._receive()  # its greeting
        self("WebDriver:NewSession")

    def _port(self, profile: Path) -> int:
        file, deadline = profile / "MarionetteActivePort", time.monotonic() + SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if file.is_file() and (text := file.read_text()):
                return int(text)
            time.sleep(0.05)
        self._process.kill()
        raise TimeoutError("Firefox did not start")

    def __call__(self, command: str, **parameters: Any) -> Any:
        """The result of a command. Raises RuntimeError with the message of an error."""
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._receive()
        if error:
            raise RuntimeError(f"{command}: {error['message']}")
        return result["value"] if isinstance(result, dict) and set(result) == {"value"} else result

    def _receive(self) -> Any:
        size = b""
        while not size.endswith(b":"):
            size += self._bytes(1)
        return json.loads(self._bytes(int(size[:-1])))

    def _bytes(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self._socket.recv(count - len(found))
            if not part:
                raise ConnectionError("Firefox has ended")
            found += part
        return found

    def open(self, path: Path) -> None:
        self("WebDriver:Navigate", url=path.as_uri())

    def evaluate(self, script: str) -> Any:
        """The value that a script in the page returns."""
        return self("WebDriver:ExecuteScript", script=script, args=[])

    def wait(self, condition: str) -> None:
        """Wait until an expression in the page is true."""
        deadline = time.monotonic() + SECONDS
        while not self.evaluate(f"return !!({condition})"):
            assert time.monotonic() < deadline, f"never true: {condition}"
            time.sleep(0.05)

    def give(self, selector: str, paths: list[Path]) -> None:
        """Choose files in a file input."""
        found = self("WebDriver:FindElement", using="css selector", value=selector)
        self("WebDriver:ElementSendKeys", id=next(iter(found.values())), text="\n".join(map(str, paths)))

    def complaints(self) -> list[str]:
        """What the consoles of all pages show."""
        self("Marionette:SetContext", value="chrome")
        found: list[str] = self("WebDriver:ExecuteScript", script=COMPLAINTS, args=[])
        self("Marionette:SetContext", value="content")
        return found

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    executable = shutil.which("firefox-esr") or shutil.which("firefox")
    if executable is None:
        pytest.skip("Firefox is not installed")
    browser = Firefox(executable, tmp_path_factory.mktemp("firefox"))
    yield browser
    browser.close()
