"""The commands of a published site."""

from __future__ import annotations

import datetime as dt
import sys

import click

from pipeline.io.streams import say, write_line
from pipeline.questions import FALLS_SHORT


@click.command()
@click.argument("site", metavar="URL")
@click.option("--max-age", default="8d", show_default=True, metavar="DAYS", help="How old it may be, such as 8d.")
def watch(site: str, max_age: str) -> None:
    """Fail if a published site, by its URL or folder, is out of date or lacks a source.

    Its status.json says when its sources were read, and which of them could not be. A job elsewhere that asks so
    notices what the job that publishes cannot report: that it no longer runs.
    """
    from pipeline.publish.watch import describe_status, fetch_status, list_faults, parse_age

    try:
        oldest = parse_age(max_age)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-age") from None
    status = fetch_status(site)
    write_line(describe_status(status))
    faults = list(list_faults(status, oldest, dt.datetime.now(dt.UTC).date()))
    for fault in faults:
        say(fault)
    if faults:
        sys.exit(FALLS_SHORT)
