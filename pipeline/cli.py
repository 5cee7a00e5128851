"""The command line ``spack-warehouse``.

Data goes to stdout, all else to stderr. Exit status: 0 done; 1 the data or the machine said no;
2 wrong usage; 3 built or checked, and something falls short.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import sysconfig
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pipeline import __version__
from pipeline.errors import FileFaultsError, SpecSyntaxError, WarehouseError, explain_refusal
from pipeline.layout import Layout
from pipeline.progress import Bar, interrupting_on_signals, number_of, open_streams, say
from pipeline.questions import FALLS_SHORT, diff, gaps, gate, have, refuse_missing, say_some, warehouse_option

if TYPE_CHECKING:
    from pipeline.build import BuildSummary
    from pipeline.store.checks import Check

SHOWN_REJECTS = 20
QUERY_INTERRUPTED = "Query interrupted"
"""What DuckDB makes of a signal in the middle of a query, as a RuntimeError."""


class OneLine(click.Group):
    """Commands whose failures are one line on stderr."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SpecSyntaxError as error:
            # Wrong usage, told as Spack tells it: the spec, and a caret under the place.
            click.echo(error.render(), err=True)
            ctx.exit(2)
        except FileFaultsError as error:
            for fault in error.faults:
                say(fault)
            ctx.exit(1)
        except WarehouseError as error:
            say(f"spack-warehouse: {error}")
            ctx.exit(1)
        except RuntimeError as error:
            if str(error) != QUERY_INTERRUPTED:
                _end_refused(ctx, error)
            if _ended_by:
                ctx.exit(128 + _ended_by[0])
            raise click.Abort from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            where = f"{error.filename}: " if error.filename else ""
            say(f"spack-warehouse: {where}{error.strerror or error}")
            ctx.exit(1)
        except BaseException as error:
            _end_refused(ctx, error)


def _end_refused(ctx: click.Context, error: BaseException) -> NoReturn:
    """Say in a line what the machine refused a library; raise the error where it is another."""
    refusal = explain_refusal(error)
    if refusal is None:
        raise error
    say(f"spack-warehouse: {refusal}")
    ctx.exit(1)


@click.group(
    cls=OneLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done; 1 the data or the machine said no; 2 wrong usage; 3 something falls short.",
)
@click.version_option(__version__, prog_name="spack-warehouse")
def cli() -> None:
    """What is in Spack's binary build caches, for which stack, compiler and target.

    Build a warehouse from cache pages or build caches, then ask it in SQL:

    \b
      spack-warehouse build path/to/cache.spack.io/_cache
      spack-warehouse sql "select * from summary_by_stack order by coverage desc"
      spack-warehouse shell
    """


@cli.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@warehouse_option
@click.option("--strict", is_flag=True, help="Exit with 3 where anything was rejected.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes that read; by default one a processor.")
@click.option(
    "--snapshot",
    "snapshots",
    multiple=True,
    metavar="S",
    help="Only this snapshot of pages and build caches, or pattern; may be repeated.",
)
@click.option(
    "--stack",
    "stacks",
    multiple=True,
    metavar="S",
    help="Only this stack of build caches, or pattern; may be repeated. Pages keep all of theirs.",
)
@click.option("--offline", is_flag=True, help="Fetch nothing: of URLs, what was fetched before counts.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for what is fetched from URLs.",
)
def build(
    sources: tuple[str, ...],
    warehouse: Path,
    strict: bool,
    jobs: int | None,
    snapshots: tuple[str, ...],
    stacks: tuple[str, ...],
    offline: bool,
    cache: Path | None,
) -> None:
    """Make the warehouse that of SOURCE...: cache pages and build caches, as folders, single files, URLs
    (https, http, s3) or a YAML file of sources.

    Folders are searched to the bottom. A page is known by its front matter, not by its name; a build
    cache by its index, build_cache/index.json or v3/manifests/index/index.manifest.json. It is the
    stack and snapshot of its last two folders, SNAPSHOT/STACK, or of a cache_spack_io_index.json above
    it; for a source that is one mirror, --snapshot and --stack are its names. Other files are passed
    over and counted. What cannot be loaded becomes a row of the table rejects, and everything around
    it is loaded.

    The warehouse holds what the sources hold now, and nothing from earlier builds; snapshots that
    have not changed are not read again. Readers see the old warehouse until the new one is whole.
    """
    from pipeline.build import build as run_build
    from pipeline.sources.buildcache import Choice

    with showing_progress() as progress:
        summary = run_build(sources, warehouse, jobs, progress, Choice(snapshots, stacks), cache, offline)
    click.echo(describe_summary(summary))
    if summary.rejects:
        show_rejects(warehouse, summary)
    for check in summary.checks:
        if check.name == "unknown_keys" and check.offenders:
            show_check(check)
    for name in summary.failed:
        say(f"failed check: {name}; see: spack-warehouse check --warehouse {warehouse}")
    if summary.failed or (strict and summary.rejects):
        sys.exit(FALLS_SHORT)


def describe_summary(summary: BuildSummary) -> str:
    held = [(summary.pages, "page"), (summary.indexes, "index")]
    read = " and ".join(
        number_of(number, name) for number, name in held if number or (name == "page" and not summary.indexes)
    )
    parts = [f"{read} in {number_of(summary.snapshots, 'snapshot')}", summary.describe_held()]
    if summary.passed_over:
        parts.append(f"{number_of(summary.passed_over, 'other file')} passed over")
    if summary.repeated:
        parts.append(f"{number_of(summary.repeated, 'page')} twice the same")
    return f"{', '.join(parts)}; {summary.describe_changes()}; {summary.seconds:.1f} seconds"


def show_rejects(warehouse: Path, summary: BuildSummary) -> None:
    """The first rejects, a line each."""
    from pipeline.store.database import open_database

    with open_database(Layout(warehouse)) as connection:
        rows = connection.execute(
            "select path, place, reason from rejects order by path, place limit ?", [SHOWN_REJECTS]
        ).fetchall()
    for path, place, reason in rows:
        say(f"rejected: {path}: {place}: {reason}")
    if summary.rejects > len(rows):
        say(f"… and {summary.rejects - len(rows):,} more: see the table rejects")


@cli.command()
@warehouse_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder to write to.  [default: reports/ in the warehouse]",
)
@click.option(
    "--format",
    "formats",
    default="csv,parquet",
    show_default=True,
    metavar="F,F",
    help="csv, parquet, json, xlsx, markdown, html; what a snapshot's folder has in others is gone after.",
)
@click.option("--snapshot", "snapshots", multiple=True, metavar="S", help="Only this snapshot; may be repeated.")
def report(warehouse: Path, out: Path | None, formats: str, snapshots: tuple[str, ...]) -> None:
    """Export coverage, matrices, summaries, rejects and meta mismatches, a folder per snapshot.

    index.json in each folder, and beside them that of all, names every file with its rows, columns,
    bytes and SHA-256; index.html beside the folders links to every file. In CSV, a text that a spreadsheet
    would take for a formula, such as +mpi, has a leading ' that programs take off; NULL is an empty cell;
    lists are JSON. xlsx is one workbook, reports.xlsx; markdown a summary of a page, summary.md, for a mail
    or a step of a workflow; html one page, report.html, that holds all that it shows and links to the files
    that are written with it.
    """
    from pipeline.report.export import export_reports
    from pipeline.schema import REPORT_FORMATS

    chosen = [name.strip() for name in formats.split(",") if name.strip()]
    for name in chosen or [formats]:
        if name not in REPORT_FORMATS:
            raise click.BadParameter(f"{name!r} is none of: {', '.join(REPORT_FORMATS)}", param_hint="--format")
    with showing_progress() as progress:
        exports = export_reports(Layout(warehouse), out, list(dict.fromkeys(chosen)), snapshots, progress)
    folder = out or Layout(warehouse).reports
    say_some([line for export in exports for line in export.describe_cuts()])
    told = number_of(len({export.snapshot for export in exports}), "snapshot")
    click.echo(f"{number_of(len(exports), 'file')} of {told} in {folder}")


@cli.command()
@warehouse_option
def check(warehouse: Path) -> None:
    """Run every check on the warehouse and print the first offenders of each.

    Warnings tell of the input: rejects, a page whose own counts are wrong, unknown keys. A failed
    check means that the warehouse itself is wrong; then the exit status is 3.
    """
    from pipeline.store.checks import run_checks
    from pipeline.store.database import open_database

    with open_database(Layout(warehouse)) as connection:
        checks = run_checks(connection)
    for one in checks:
        show_check(one, data=True)
    failed = sum(one.failed for one in checks)
    warned = sum(one.offenders > 0 for one in checks) - failed
    click.echo(f"{number_of(len(checks), 'check')}, {failed} failed, {warned} with warnings")
    if failed:
        sys.exit(FALLS_SHORT)


def show_check(check: Check, data: bool = False) -> None:
    """A check's result: a line, and a line for each of the first offenders."""
    mark = "failed" if check.failed else "warning" if check.offenders else "ok"
    count = f" ({check.offenders:,})" if check.offenders else ""
    click.echo(f"{mark:8} {check.name}{count}: {check.rule}", err=not data)
    for row in check.rows:
        cells = ", ".join(f"{name}={value}" for name, value in zip(check.columns, row, strict=True))
        click.echo(f"           {cells}", err=not data)
    if check.offenders > len(check.rows):
        click.echo(f"           … and {check.offenders - len(check.rows):,} more", err=not data)


@cli.command()
@click.argument("query")
@warehouse_option
@click.option(
    "--format",
    "format",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="What to write to stdout.",
)
def sql(query: str, warehouse: Path, format: str) -> None:
    """Answer one QUERY, which cannot change the warehouse.

    \b
      spack-warehouse sql "from snapshots"
      spack-warehouse sql --format csv "select * from matrix_by_stack where snapshot = 'develop'"

    The tables and views: describe them with "show tables", or see the data dictionary in the README.
    """
    from pipeline.ask.output import run_query

    run_query(Layout(warehouse), query, format)


@cli.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("coverage.yaml"),
    show_default=True,
    metavar="FILE",
    help="What to do; examples/coverage.yaml explains each key.",
)
@click.option("--dry-run", is_flag=True, help="Print the steps, and do none of them.")
@click.option("--paths", is_flag=True, help="Print where it keeps what it makes, as NAME=PATH lines, and do nothing.")
@click.option(
    "--summary",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write what was found here, too, as Markdown: for a mail or a step of a workflow.",
)
@click.option("--offline", is_flag=True, help="Fetch nothing: of URLs, what was fetched before counts.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The day that gates judge on, YYYY-MM-DD.  [default: this day, UTC]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="Lines on stderr for people or for machines, in place of the file's.  [default: text]",
)
def run(
    config: Path,
    dry_run: bool,
    paths: bool,
    summary: Path | None,
    offline: bool,
    today: datetime | None,
    log_format: str | None,
) -> None:
    """Build, check, judge and report as a file says, in one command that is safe to repeat.

    \b
      spack-warehouse run --config coverage.yaml

    The steps are sources, build, checks, gates, reports and retention; each is a line on stderr. Reports
    are written when a gate fails, too. What falls short is told in a JSON file and by a webhook, where the
    file names them. A second run that finds everything as it was changes nothing.

    Exit status: the worst of the steps. 0: all is well. 3: something falls short. 1: a step could not be
    done, or the file is wrong; each fault is a line with its place.
    """
    from dataclasses import replace

    from pipeline.config import read_config
    from pipeline.schedule import ENDED, FAILED, StepLog, list_paths, list_steps
    from pipeline.schedule import run as run_steps

    refuse_missing(config, "examples/coverage.yaml")
    try:
        read = read_config(config)
        if dry_run and read.missing:
            raise FileFaultsError(read.missing)
    except FileFaultsError as error:
        if log_format != "json":
            raise
        log = StepLog("json", say)
        for fault in error.faults:
            log.tell("config", FAILED, fault)
        sys.exit(1)
    read = replace(read, offline=read.offline or offline)
    if paths:
        for name, path in list_paths(read).items():
            click.echo(f"{name}={path}")
        return
    if dry_run:
        for step, what in list_steps(read, os.environ):
            line = json.dumps({"step": step, "what": what}, ensure_ascii=False)
            click.echo(line if log_format == "json" else f"{step:9}  {what}")
        return
    log = StepLog(log_format or read.log, say)
    try:
        outcome = run_steps(read, log, today.date() if today else None, summary=summary)
    except (SystemExit, KeyboardInterrupt, RuntimeError) as error:
        number = find_signal(error)
        if number is None:
            raise
        status = 1 if number == signal.SIGINT else 128 + number
        log.tell("run", ENDED, f"by {signal.Signals(number).name}: exit status {status}")
        sys.exit(status)
    sys.exit(outcome.exit_status)


@cli.command(context_settings={"ignore_unknown_options": True})
@warehouse_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def shell(warehouse: Path, arguments: tuple[str, ...]) -> None:
    """Open the DuckDB shell on the warehouse, read-only; ARGUMENTS go to the shell.

    A build in the meantime does not disturb the shell, which goes on with the warehouse that it
    has opened.
    """
    from pipeline.store.database import find_database

    database = find_database(Layout(warehouse))
    # The shell that is installed with the project comes before any other.
    program = shutil.which("duckdb", path=sysconfig.get_path("scripts")) or shutil.which("duckdb")
    if program is None:
        raise WarehouseError("duckdb: the shell is not installed; install the package duckdb-cli")
    sys.stdout.flush()
    os.execv(program, [program, "-readonly", str(database), *arguments])


for question in (have, gaps, diff, gate):
    cli.add_command(question)


@contextlib.contextmanager
def showing_progress() -> Iterator[Bar]:
    bar = Bar()
    try:
        yield bar
    finally:
        bar.close()


_ended_by: list[int] = []
"""The signal that ends the process, once it has come."""


def _end_on_signal(number: int, frame: object) -> NoReturn:
    # Unwinds like an error, so that an unfinished build is cleared away.
    _ended_by.append(number)
    sys.exit(128 + number)


def find_signal(error: BaseException) -> int | None:
    """The signal that an error comes of, if it is one's."""
    if _ended_by:
        return _ended_by[0]
    interrupted = isinstance(error, KeyboardInterrupt) or str(error) == QUERY_INTERRUPTED
    return signal.SIGINT if interrupted else None


def main() -> None:
    open_streams()
    signal.signal(signal.SIGTERM, _end_on_signal)
    with interrupting_on_signals():
        cli(prog_name="spack-warehouse")
