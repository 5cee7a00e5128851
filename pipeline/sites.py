"""The commands of a published site."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from pipeline.io.progress import showing_progress
from pipeline.io.streams import say, say_some, write_line
from pipeline.layout import Layout
from pipeline.options import (
    SOMETHING_FAILS,
    check_address,
    find_day,
    jobs_option,
    publication_options,
    refuse_missing,
    today_option,
    warehouse_option,
)


@click.command()
@warehouse_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR", help="Folder to write to."
)
@publication_options
@click.option(
    "--format",
    "formats",
    default="csv,parquet,markdown,html",
    show_default=True,
    metavar="F,F",
    help="Formats of the snapshots' reports, as of the command report.",
)
@click.option(
    "--gates",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File of gates, whose verdict the front page shows.",
)
@click.option(
    "--docs", metavar="URL", callback=check_address, help="Where the documentation is: the front page links to it."
)
@today_option("The day that gates judge on")
@jobs_option("write reports")
def site(
    warehouse: Path,
    out: Path,
    base_url: str | None,
    wasm: Path | None,
    history: int | None,
    licence: str | None,
    formats: str,
    gates: Path | None,
    docs: str | None,
    today: datetime | None,
    jobs: int | None,
) -> None:
    """Write the warehouse as a site for any static host.

    \b
      spack-warehouse site --out public
      spack-warehouse site --out public --base-url https://example.org/spack --gates gates.yaml

    It has a front page, and a page for each package, stack and snapshot. Each page has its data beside it as
    JSON. The snapshots' reports are a part of it, at the addresses that the command report gives them, and so
    are the data that the command publish writes. Only what changed is written anew; where nothing did, nothing
    is done. A package, stack or snapshot that is no longer in the warehouse keeps its page.
    """
    from pipeline.catalog.publish import Wish, publish_data
    from pipeline.publish.site import Wanted, publish_site

    judged = None
    if gates is not None:
        from pipeline.settings import read_gates

        refuse_missing(gates, "examples/gates.yaml", "--gates")
        judged = read_gates(gates)
    chosen = split_formats(formats)
    day, query = find_day(today), wasm is not None
    wanted = Wanted(chosen, None, base_url, judged, day, data=True, query=query, docs=docs, jobs=jobs)
    with showing_progress() as progress:
        summary = publish_site(Layout(warehouse), out, wanted, progress)
        data = publish_data(Layout(warehouse), out, Wish(base_url, history, wasm, licence), progress)
    say_some([*summary.list_left(out), *data.notes])
    write_line(summary.describe(out))
    write_line(data.describe())


def split_formats(formats: str) -> list[str]:
    """The names of formats, each once."""
    from pipeline.words import REPORT_FORMATS, SHORT_FORMATS

    chosen = [SHORT_FORMATS.get(name, name) for name in map(str.strip, formats.split(",")) if name]
    for name in chosen or [formats]:
        if name not in REPORT_FORMATS:
            raise click.BadParameter(f"{name!r} is none of: {', '.join(REPORT_FORMATS)}", param_hint="--format")
    return list(dict.fromkeys(chosen))


@click.command()
@click.argument("site", metavar="URL")
@click.option("--max-age", default="8d", show_default=True, metavar="DAYS", help="How old it may be, such as 8d.")
def watch(site: str, max_age: str) -> None:
    """Fail if a published site is out of date or lacks a source.

    \b
      spack-warehouse watch public
      spack-warehouse watch public --max-age 3d

    URL may be a folder, too. The site's status.json says when its sources were read, and which of them
    could not be. A job elsewhere that asks so notices what the job that publishes cannot report: that it no
    longer runs.
    """
    from pipeline.publish.watch import describe_status, fetch_status, list_faults, parse_age

    try:
        oldest = parse_age(max_age)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-age") from None
    status = fetch_status(site)
    write_line(describe_status(status))
    faults = list(list_faults(status, oldest, find_day(None)))
    for fault in faults:
        say(fault)
    if faults:
        sys.exit(SOMETHING_FAILS)
