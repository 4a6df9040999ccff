"""A real browser, where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# A moving test picture instead of a camera, and no question whether a page may use it.
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


class Browser:
    """Opens pages in headless Chromium; `errors` and `requests` collect what they complain of and ask for."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium
        self.errors: list[str] = []
        self.requests: list[str] = []

    @contextmanager
    def page(self, path: Path, **options: Any) -> Iterator[Any]:
        context = self._chromium.new_context(**options)
        tab = context.new_page()
        tab.on("console", lambda message: self.errors.append(message.text))
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.goto(path.as_uri())
        yield tab
        context.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", *CAMERA])
        yield browser
        browser.close()


@pytest.fixture
def browser(chromium: Any) -> Browser:
    return Browser(chromium)
