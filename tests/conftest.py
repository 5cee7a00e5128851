"""What tests of several modules need: a browser, warehouses that are built once, how much random input there is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from playwright.sync_api import sync_playwright

from pipeline.build import build
from tests.makers import SAMPLE

# How many examples a test of makers.thorough() takes; make test-slow chooses "full".
settings.register_profile("quick", deadline=None)
settings.register_profile("full", deadline=None)
settings.load_profile("quick")

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


@pytest.fixture(scope="session")
def wasm():
    """The folder of DuckDB-Wasm. Where npm did not install it tests are skipped, or fail if it is required."""
    folder = Path(os.environ.get("DUCKDB_WASM") or Path(sys.prefix) / "duckdb-wasm")
    if not (folder / "node_modules").is_dir():
        reason = "no npm, so the page to ask in SQL was not tried; on Debian: apt-get install npm"
        pytest.fail(reason) if os.environ.get("NPM_REQUIRED") else pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def faults(build_once):
    """The library of tests/faults.c. Where there is no compiler tests are skipped, or fail if one is required."""
    compiler = shutil.which("cc")
    if compiler is None:
        reason = "no C compiler, so no system call was made to fail; on Debian: apt-get install gcc libc6-dev"
        pytest.fail(reason) if os.environ.get("CC_REQUIRED") else pytest.skip(reason)

    def make(folder):
        options = ["-O1", "-Wall", "-Werror", "-shared", "-fPIC"]
        source = Path(__file__).with_name("faults.c")
        subprocess.run([compiler, *options, "-o", folder / "faults.so", source, "-ldl"], check=True)

    return build_once("faults", make) / "faults.so"


@pytest.fixture(scope="session")
def build_once(tmp_path_factory):
    """Calls ``make(folder)`` once per name for all processes that test; returns the folder, which none may change."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base

    def build_once(name, make):
        folder = shared / f"shared-{name}"
        with FileLock(f"{folder}.lock"):
            if not (folder / ".made").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                (folder / ".made").touch()
        return folder

    return build_once


@pytest.fixture(scope="session")
def sample(build_once):
    """The warehouse of the sample pages, to be read only."""
    return build_once("sample", lambda folder: build([SAMPLE], folder / "warehouse", jobs=1)) / "warehouse"


@pytest.fixture(scope="module")
def sample_copy(sample, tmp_path_factory):
    """A copy of it for the tests of a module, to which reports may be added."""
    return shutil.copytree(sample, tmp_path_factory.mktemp("sample") / "warehouse", symlinks=True)
