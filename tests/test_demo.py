"""The demo: a warehouse and a site of invented pages, the same each time, and no browser where none can be seen."""

import webbrowser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import pipeline.demo.command
import pipeline.demo.corpus
from pipeline.demo.command import has_display
from pipeline.demo.corpus import REAL_NAMES
from tests.commands import run


@pytest.fixture
def opened(monkeypatch):
    """The addresses that a browser is asked for."""
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(pipeline.demo.command, "SNAPSHOTS", 2)
    monkeypatch.setattr(pipeline.demo.corpus, "REAL_NAMES", ["cmake", "hdf5", "py-numpy"])
    return opened


def test_the_demo_builds_a_site_and_says_where(tmp_path, opened):
    done = run("demo", cwd=tmp_path)
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())

    assert (done.returncode, done.stderr, opened) == (0, "", [])
    assert lines["warehouse"].startswith("spack-warehouse-demo/warehouse: 2 snapshots, ")
    assert "<html" in Path(unquote(urlsplit(lines["site"]).path)).read_text()
    asked = run(*lines["try"].split()[1:], cwd=tmp_path)
    assert asked.returncode == 0
    assert "package: hdf5" in asked.stdout
    # Again, it is all there: nothing is built or written anew.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "spack-warehouse-demo/site").rglob("*.html")}
    assert run("demo", cwd=tmp_path).stdout == done.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--no-browser"]])
def test_a_browser_opens_on_a_terminal_with_a_display(tmp_path, opened, monkeypatch, options):
    monkeypatch.setattr(pipeline.demo.command, "is_terminal", lambda: True)
    done = run("demo", "--out", tmp_path / "a b", *options, DISPLAY=":0")

    assert done.returncode == 0
    assert opened == ([] if options else [(tmp_path / "a b/site/index.html").as_uri()])


def test_a_display_is_what_the_environment_names(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_display()
    monkeypatch.delenv("WAYLAND_DISPLAY")
    monkeypatch.setattr("sys.platform", "darwin")
    assert has_display()


def test_the_packages_are_real_names_each_once():
    assert len(set(REAL_NAMES)) == len(REAL_NAMES) > 100
    assert {"hdf5", "py-numpy", "trilinos"} <= set(REAL_NAMES)
