"""A real browser for the tests of pages."""

from browsers import browser, chromium  # noqa: F401
