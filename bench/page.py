"""Measure the HTML page of a real-size snapshot in headless Chromium.

Bytes, rows, and, as medians of several loads: seconds until something is painted, until the view that the
address asks for is there, until a filter has its answer; and the longest frame while a matrix scrolls::

    python -m bench.page [WAREHOUSE [SNAPSHOT]]     by default a snapshot made by pipeline.demo.corpus
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from pipeline.build import build
from pipeline.demo.corpus import generate
from pipeline.layout import Layout
from pipeline.report.export import FILES, export_reports

PAGE = FILES["html"][1]
LOADS = 5
VIEWS = ("", "#matrix", "#find", "#host", "#gaps", "#trends")

FILTER = """async () => {
    const control = document.querySelector("#view-find input[name=package]");
    const start = performance.now();
    control.value = "py-";
    control.dispatchEvent(new Event("change"));
    while (document.documentElement.dataset.shown !== location.hash) await new Promise(requestAnimationFrame);
    return (performance.now() - start) / 1000;
}"""
SCROLL = """async () => {
    const holder = document.querySelector("#view-matrix .tabulator-tableholder");
    const frames = [];
    let last = performance.now();
    for (let step = 0; step < 120; step++) {
        holder.scrollTop += 80;
        await new Promise(requestAnimationFrame);
        frames.push(performance.now() - last);
        last = performance.now();
    }
    frames.sort((one, other) => one - other);
    return { median: frames[60], slowest: frames.at(-1) };
}"""


def load(page: Page, address: str) -> tuple[float, float]:
    """Seconds to the first paint and to the whole view."""
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    return page.evaluate(paint) / 1000, int(page.evaluate("document.documentElement.dataset.ready")) / 1000


def measure(path: Path) -> None:
    print(f"{path.stat().st_size / 1e6:.2f} MB")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for view in VIEWS:
            paints, wholes = zip(*(load(page, path.as_uri() + view) for _ in range(LOADS)), strict=True)
            print(
                f"{view or '#overview':10} painted {statistics.median(paints):.2f} s, "
                f"whole {statistics.median(wholes):.2f} s"
            )
        load(page, path.as_uri() + "#find")
        print(f"filter     {page.evaluate(FILTER):.2f} s")
        load(page, path.as_uri() + "#matrix")
        frames = page.evaluate(SCROLL)
        print(f"scrolling  {frames['median']:.0f} ms a frame, the slowest {frames['slowest']:.0f} ms")
        browser.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            warehouse = Path(sys.argv[1])
        else:
            warehouse = Path(folder, "warehouse")
            generate(Path(folder, "source"), snapshots=2, packages=1275, specs=26, seed=3)
            build([Path(folder, "source")], warehouse)
        snapshot = sys.argv[2] if len(sys.argv) > 2 else "develop"
        out = Path(folder, "reports")
        (export,) = export_reports(Layout(warehouse), out, ["html"], [snapshot])
        print(f"{export.rows:,} specs")
        measure(out / snapshot / PAGE)


if __name__ == "__main__":
    main()
