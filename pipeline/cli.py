"""The command line ``spack-warehouse``.

Data goes to stdout, all else to stderr. Exit status: 0 done; 1 error in the data or the machine;
2 wrong usage; 3 done, and something fails.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline import __version__
from pipeline.demo.command import demo
from pipeline.errors import FileFaultsError
from pipeline.io.progress import interrupting_on_signals, number_of, showing_progress
from pipeline.io.streams import (
    open_streams,
    say,
    say_some,
    show_json,
    show_text,
    write_data,
    write_line,
    write_lines,
)
from pipeline.io.workplace import HERE, Workplace, parse_workers
from pipeline.layout import Layout
from pipeline.options import SOMETHING_FAILS, jobs_option, refuse_missing, today_option, warehouse_option
from pipeline.publishing import publish
from pipeline.queries import check, describe_check, shell, sql
from pipeline.questions import diff, gaps, gate, have
from pipeline.sites import site, split_formats, watch
from pipeline.terminal.complete import complete_snapshots
from pipeline.terminal.completion import completion
from pipeline.terminal.days import DaysCommand
from pipeline.terminal.group import OneLine, end_on_signal, find_signal, give_warehouse, raise_again, say_error

if TYPE_CHECKING:
    from pipeline.build import BuildSummary

SHOWN_REJECTS = 20
SHOWN_OTHERWISE = ("rejects", "sources_are_loaded", "meta_mismatches")
"""Warnings that a build does not repeat: it lists rejects and sources itself; pages' own counts are for ``check``."""


@click.group(
    cls=OneLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done; 1 error in the data or the machine; 2 wrong usage; 3 done, and something fails.",
)
@click.version_option(__version__, prog_name="spack-warehouse")
@click.option(
    "--warehouse",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="SPACK_WAREHOUSE",
    metavar="DIR",
    help="Folder of the warehouse, for any command.  [env: SPACK_WAREHOUSE; default: warehouse]",
)
@click.pass_context
def cli(ctx: click.Context, warehouse: Path | None) -> None:
    """What is in Spack's binary build caches, for which stack, compiler and target.

    Build a warehouse from cache pages or build caches, then ask it in SQL:

    \b
      spack-warehouse build path/to/cache.spack.io/_cache
      spack-warehouse sql "select * from summary_by_stack order by coverage desc"
      spack-warehouse shell
    """
    if warehouse is not None:
        give_warehouse(ctx, cli.commands, warehouse)


def check_workers(ctx: click.Context, option: click.Parameter, text: str | None) -> Workplace:
    if text is None:
        return HERE
    try:
        return parse_workers(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def check_hosts(ctx: click.Context, option: click.Parameter, hosts: tuple[str, ...]) -> tuple[str, ...]:
    from pipeline.io.urls import ALLOWED_HOST, show_url

    for host in hosts:
        if not re.fullmatch(ALLOWED_HOST, host):
            raise click.BadParameter(f"{show_url(host)!r} is no HOST, HOST:PORT or s3://BUCKET")
    return hosts


@cli.command()
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@warehouse_option
@click.option("--strict", is_flag=True, help="Exit with 3 where anything was rejected, or a source is empty.")
@jobs_option("read")
@click.option(
    "--workers",
    "workplace",
    callback=check_workers,
    metavar="WHERE",
    help="local:N, as --jobs N, or dask:ADDRESS, the workers of a Dask cluster.",
)
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
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST",
    callback=check_hosts,
    help="A listing may lead to this host, HOST[:PORT] or s3://BUCKET, besides its own; may be repeated.",
)
@click.option("--offline", is_flag=True, help="Fetch nothing: of URLs, what was fetched before counts.")
@click.option("--sizes", is_flag=True, help="Fetch the sizes of binaries behind URLs too: one request for each, once.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for what is fetched from URLs.",
)
@click.option(
    "--keep/--no-keep",
    default=None,
    help="Whether snapshots stay that the sources no longer hold.  [default: as in the build before]",
)
@click.option("--drop", multiple=True, metavar="S", help="Let go of this kept snapshot; may be repeated.")
@click.option(
    "--accept",
    multiple=True,
    metavar="NAME",
    help="Take what this snapshot, SNAPSHOT/STACK or source has now, however little; may be repeated.",
)
@click.option(
    "--database/--no-database",
    default=True,
    help="Whether to make warehouse.duckdb, which is what questions are put to.  [default: make it]",
)
@click.option("--rollback", is_flag=True, help="Make the build before the current one current again; takes no SOURCE.")
def build(
    sources: tuple[str, ...],
    warehouse: Path,
    strict: bool,
    jobs: int | None,
    workplace: Workplace,
    snapshots: tuple[str, ...],
    stacks: tuple[str, ...],
    allow_hosts: tuple[str, ...],
    offline: bool,
    sizes: bool,
    cache: Path | None,
    keep: bool | None,
    drop: tuple[str, ...],
    accept: tuple[str, ...],
    database: bool,
    rollback: bool,
) -> None:
    """Build or renew a warehouse from cache pages and build caches.

    \b
      spack-warehouse build cache.spack.io/_cache
      spack-warehouse build mirrors --snapshot 'develop-2025-*' --stack e4s --keep

    A SOURCE is a folder, a single file, a URL (https, http, s3) or a YAML file of sources. Folders are
    searched to the bottom. A page is known by its front matter, not by its name; a build cache by its
    index, build_cache/index.json or v3/manifests/index/index.manifest.json. It is the stack and snapshot of
    its last two folders, SNAPSHOT/STACK, or of a cache_spack_io_index.json above it; for a source that is
    one mirror, --snapshot and --stack are its names. Other files are passed over and counted. What cannot
    be loaded becomes a row of the table rejects, and everything around it is loaded.

    The warehouse holds what the sources hold now; snapshots that have not changed are not read again.
    Readers see the old warehouse until the new one is whole. What cannot be read today, or has less than
    half of the specs that it had, stays as it was, is named, and the exit status is 3 (not for a source that
    its file calls optional); the table sources lists it. With --keep, snapshots that the sources no longer
    hold stay, in later builds too. A warehouse may be a source: what no other source gives is taken from it.
    """
    from pipeline.build import build as run_build
    from pipeline.build import roll_back
    from pipeline.sources.buildcache import Choice
    from pipeline.sources.files import make_readable
    from pipeline.store.history import Wishes

    if bool(sources) == rollback:
        raise click.UsageError("--rollback takes no SOURCE" if rollback else "Missing argument 'SOURCE...'.")
    if jobs is not None and workplace != HERE:
        raise click.UsageError("--jobs and --workers both say where to work: name one")
    if rollback:
        with showing_progress() as progress:
            name = roll_back(warehouse, progress)
        write_line(f"current again: build {name}")
        return
    with showing_progress() as progress:
        choice = Choice(tuple(map(make_readable, snapshots)), tuple(map(make_readable, stacks)))
        wishes = Wishes(keep, frozenset(accept), frozenset(drop))
        summary = run_build(
            sources,
            warehouse,
            jobs or workplace.jobs,
            progress,
            choice,
            cache,
            offline,
            allow_hosts,
            wishes,
            sizes=sizes,
            cluster=workplace.cluster,
            database=database,
        )
    write_line(describe_summary(summary))
    say_some(summary.list_troubles())
    if summary.rejects:
        show_rejects(warehouse, summary)
    for one in summary.checks:
        if one.warning and one.offenders and one.name not in SHOWN_OTHERWISE:
            for line in describe_check(one):
                say(line)
    see = f"; see: spack-warehouse check --warehouse {warehouse}" if database else ""
    for name in summary.failed:
        say(f"failed check: {name}{see}")
    if summary.failed or (strict and summary.rejects) or not summary.is_whole(strict):
        sys.exit(SOMETHING_FAILS)


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
    from pipeline.store.published import list_rejects

    rows = list_rejects(Layout(warehouse), SHOWN_REJECTS)
    for path, place, reason in rows:
        say(f"rejected: {path}: {place}: {reason}")
    if summary.rejects > len(rows):
        say(f"… and {summary.rejects - len(rows):,} more: see the table rejects")


@cli.command(cls=DaysCommand)
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
    help="csv, parquet, json, xlsx, markdown (or md), html; what a snapshot's folder has in others is gone after.",
)
@click.option(
    "--snapshot",
    "snapshots",
    multiple=True,
    metavar="S",
    shell_complete=complete_snapshots,
    help="Only this snapshot, or those of a glob; may be repeated.",
)
@jobs_option("write")
def report(warehouse: Path, out: Path | None, formats: str, snapshots: tuple[str, ...], jobs: int | None) -> None:
    """Export coverage, matrices, summaries and rejects as files.

    \b
      spack-warehouse report
      spack-warehouse report --snapshot latest --format csv,md --out public

    A folder per snapshot; index.json in each folder, and beside them that of all, names every file with its
    rows, columns, bytes and SHA-256; index.html beside the folders links to every file. In CSV, a text that
    a spreadsheet would take for a formula, such as +mpi, has a leading ' that programs take off; NULL is an
    empty cell; lists are JSON. xlsx is one workbook, reports.xlsx; markdown a summary of a page,
    summary.md, for a mail or a step of a workflow; html one page, report.html, that holds all that it shows
    and links to the files that are written with it.
    """
    from pipeline.report.export import export_reports

    chosen = split_formats(formats)
    named = choose_named(warehouse, snapshots) if snapshots else None
    with showing_progress() as progress:
        exports = export_reports(Layout(warehouse), out, chosen, named, progress, jobs)
    folder = out or Layout(warehouse).reports
    say_some([line for export in exports for line in export.describe_cuts()])
    counted = number_of(len({export.snapshot for export in exports}), "snapshot")
    write_line(f"{number_of(len(exports), 'file')} of {counted} in {folder}")


def choose_named(warehouse: Path, names: Sequence[str]) -> list[str]:
    """The snapshots of names and words, such as ``latest``."""
    from pipeline.ask.scope import choose_snapshots
    from pipeline.store.database import open_database

    with open_database(Layout(warehouse)) as connection:
        return choose_snapshots(connection, names, say)


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
@today_option("The day that gates judge on")
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
    """Build, check, judge and report as a file says.

    \b
      spack-warehouse run --config coverage.yaml --dry-run
      spack-warehouse run --config coverage.yaml --summary summary.md

    It is safe to repeat. The steps are sources, build, checks, gates, reports and retention; each is a line
    on stderr. Reports are written when a gate fails, too. What fails is reported in a JSON file and by a
    webhook, where the file names them. A second run that finds everything as it was changes nothing.

    Exit status: the worst of the steps. 0: all is well. 3: something fails. 1: a step could not be
    done, or the file is wrong; each fault is a line with its place.
    """
    from dataclasses import replace

    from pipeline.config import read_config
    from pipeline.schedule import ENDED, FAILED, StepLog, list_paths, list_steps
    from pipeline.schedule import run as run_steps

    refuse_missing(config, "examples/coverage.yaml")
    try:
        read = read_config(config)
        if dry_run and (missing := [f"{one.name}: {one.fault}" for one in read.sources if one.fault]):
            raise FileFaultsError(missing)
    except FileFaultsError as error:
        if log_format != "json":
            raise
        log = StepLog("json", say)
        for fault in error.faults:
            log.report("config", FAILED, fault)
        sys.exit(1)
    read = replace(read, offline=read.offline or offline)
    if paths:
        for name, path in list_paths(read).items():
            write_data([os.fsencode(f"{name}={path}\n")])
        return
    if dry_run:
        for step, what in list_steps(read, os.environ):
            line = show_json(json.dumps({"step": step, "what": what}, ensure_ascii=False))
            write_lines(f"{line if log_format == 'json' else show_text(f'{step:9}  {what}')}\n")
        return
    log = StepLog(log_format or read.log, say)
    try:
        outcome = run_steps(read, log, today.date() if today else None, summary=summary)
    except (SystemExit, KeyboardInterrupt, RuntimeError) as error:
        number = find_signal(error)
        if number is None:
            raise
        status = 1 if number == signal.SIGINT else 128 + number
        log.report("run", ENDED, f"by {signal.Signals(number).name}: exit status {status}")
        sys.exit(status)
    sys.exit(outcome.exit_status)


for command in (check, sql, shell, have, gaps, diff, gate, site, publish, watch, completion, demo):
    cli.add_command(command)


def main() -> None:
    open_streams()
    signal.signal(signal.SIGTERM, end_on_signal)
    sys.unraisablehook = raise_again
    with interrupting_on_signals():
        try:
            cli(prog_name="spack-warehouse")
        except OSError as error:
            # Outside of any command: the help, which stdout does not take.
            say_error(error)
            sys.exit(1)
