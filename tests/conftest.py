"""What tests of several modules need: a browser."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser():
    """Chromium of the system. Where there is none tests are skipped with this one reason, or fail if it is required."""
    if CHROMIUM is None:
        reason = "no Chromium on PATH, so the page was looked at by no browser; on Debian: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CHROMIUM_REQUIRED") else pytest.skip(reason)
    with sync_playwright() as playwright:
        # Root, as in a container, has no sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
