"""The command ``demo``."""

from __future__ import annotations

import os
import shlex
import sys
import webbrowser
from pathlib import Path

import click

from pipeline.io.progress import number_of, showing_progress
from pipeline.io.streams import is_terminal, say_some, write_line

SNAPSHOTS, SPECS, SEED = 4, 8, 7


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("spack-warehouse-demo"),
    show_default=True,
    metavar="DIR",
    help="Folder to write to.",
)
@click.option("--no-browser", is_flag=True, help="Do not open the site, also where a browser could show it.")
def demo(out: Path, no_browser: bool) -> None:
    """Build a warehouse and its site from invented pages, to try.

    \b
      spack-warehouse demo
      spack-warehouse demo --out try --no-browser

    DIR gets pages/, four snapshots of about a hundred packages in the shape of real pages; warehouse/, which any
    command can be asked of; and site/, which a browser opens where stdout is a terminal with a display. The packages'
    names are real; versions, hashes and what each stack holds are not. Doing it again gives the same.
    """
    from pipeline.build import build
    from pipeline.demo.corpus import REAL_NAMES, generate
    from pipeline.layout import Layout
    from pipeline.publish.site import Wanted, publish_site

    pages, warehouse, site = out / "pages", out / "warehouse", out / "site"
    generate(pages, SNAPSHOTS, REAL_NAMES, SPECS, SEED)
    with showing_progress() as progress:
        summary = build([str(pages)], warehouse, progress=progress)
        written = publish_site(Layout(warehouse), site, Wanted(("csv", "html"), None), progress)
    say_some(summary.list_troubles())
    front = (site / "index.html").absolute()
    counts = [(summary.snapshots, "snapshot"), (written.packages, "package"), (written.stacks, "stack")]
    write_line(f"warehouse  {warehouse}: {', '.join(number_of(count, noun) for count, noun in counts)}, invented")
    write_line(f"site       {front.as_uri()}")
    write_line(f"try        spack-warehouse --warehouse {shlex.quote(str(warehouse))} have hdf5 --snapshot latest")
    if not no_browser and is_terminal() and has_display():
        webbrowser.open(front.as_uri())


def has_display() -> bool:
    """Whether a window can be opened here."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
