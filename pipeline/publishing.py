"""The command that publishes data."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.io.progress import number_of, showing_progress
from pipeline.io.streams import say, say_some, write_line
from pipeline.layout import Layout
from pipeline.options import SOMETHING_FAILS, publication_options, warehouse_option


@click.command()
@warehouse_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Folder to write to.")
@publication_options
@click.option(
    "--format",
    type=click.Choice(("files", "delta")),
    default="files",
    show_default=True,
    help="All of the below, or Delta tables alone, for Spark, Trino and whatever else reads them.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(0, 36_500),
    metavar="N",
    help="Of Delta tables, how long older versions stay.  [default: 30]",
)
@click.option(
    "--verify",
    "place",
    metavar="DIR|URL",
    help="Write nothing: hold what is published there against its manifest, and exit with 3 where they differ.",
)
def publish(
    warehouse: Path,
    out: Path | None,
    base_url: str | None,
    wasm: Path | None,
    history: int | None,
    licence: str | None,
    format: str,
    keep_days: int | None,
    place: str | None,
) -> None:
    """Publish the warehouse's data for other programs.

    \b
      spack-warehouse publish --out public
      spack-warehouse publish --verify public

    DIR is a folder for any static host. In it are:

    \b
      data/          Parquet of every table, warehouse.duckdb, datapackage.json, and a page of them
      catalog.duckdb views over them at --base-url, which any DuckDB since 1.2 attaches by https
      api/v1/        static JSON
      sql/           a page to ask in SQL in the browser, with --wasm
      releases.json  a row for each build

    A Parquet file's name has a digest of its bytes, so that no reader mixes two builds. Only what changed is written
    anew, and the files of the build before stay until the next. The command site writes all this too.

    With --format delta, DIR has a Delta table for each table of Parquet: hard links to the warehouse's files, and a
    version for each snapshot that changed.
    """
    if format == "delta" and (out is None or place is not None or base_url or wasm or history is not None or licence):
        raise click.UsageError("--format delta takes --out and --keep-days alone")
    if keep_days is not None and format != "delta":
        raise click.UsageError("--keep-days is of --format delta")
    if format == "delta" and out is not None:
        from pipeline.catalog.delta import KEPT_DAYS, write_delta

        with showing_progress() as progress:
            written = write_delta(Layout(warehouse), out, KEPT_DAYS if keep_days is None else keep_days, progress)
        write_line(f"{out}: {written.describe()}")
        return
    from pipeline.catalog.publish import Wish, publish_data
    from pipeline.catalog.verify import verify

    if (out is None) == (place is None):
        raise click.UsageError("one of --out DIR and --verify DIR|URL is needed")
    if out is not None:
        with showing_progress() as progress:
            summary = publish_data(Layout(warehouse), out, Wish(base_url, history, wasm, licence), progress)
        say_some(list(summary.notes))
        write_line(f"{out}: {summary.describe()}")
        return
    count, faults = verify(str(place))
    number = 0
    for number, fault in enumerate(faults, 1):  # noqa: B007
        say(fault)
    if number:
        say(f"{number_of(number, 'fault')} in {number_of(count, 'file')}")
        sys.exit(SOMETHING_FAILS)
    write_line(f"{number_of(count, 'file')} are as they were published")
