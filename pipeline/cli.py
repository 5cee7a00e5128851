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
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from pipeline import __version__
from pipeline.ask.words import number_of
from pipeline.errors import FileFaultsError, SpecSyntaxError, WarehouseError
from pipeline.interrupts import interrupt_on_signals
from pipeline.layout import Layout
from pipeline.progress import Progress

if TYPE_CHECKING:
    from tqdm import tqdm

    from pipeline.build import Summary
    from pipeline.store.checks import Check

FALLS_SHORT = 3
T = TypeVar("T")
SHOWN_REJECTS = 20
QUERY_INTERRUPTED = "Query interrupted"
"""What DuckDB makes of a signal in the middle of a query, as a RuntimeError."""


class Bar(Progress):
    """A progress bar on stderr where that is a terminal, and one line where a build has to wait."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def wait(self, folder: Path, what: str) -> None:
        say(f"{folder}: another {what} is running; waiting for it to end")

    def stage(self, name: str, total: int, unit: str) -> None:
        self.close()
        if sys.stderr.isatty():
            from tqdm import tqdm

            # How many bytes are to be fetched is not known beforehand.
            self._bar = tqdm(
                total=total or None, desc=name, unit=unit, unit_scale=unit == "B", leave=False, file=sys.stderr
            )

    def advance(self, count: int) -> None:
        if self._bar is not None:
            self._bar.update(count)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


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
                raise
            if _ended_by:
                ctx.exit(128 + _ended_by[0])
            raise click.Abort from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            where = f"{error.filename}: " if error.filename else ""
            say(f"spack-warehouse: {where}{error.strerror or error}")
            ctx.exit(1)


def say(line: str) -> None:
    click.echo(" ".join(line.split("\n")), err=True)


def refuse_missing(config: Path, example: str) -> None:
    """Say of a file of the user's that is not there what it would be."""
    if not config.exists():
        raise WarehouseError(f"{config}: no such file; name one with --config: {example} is one to begin with")


warehouse_option = click.option(
    "--warehouse",
    "warehouse",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("warehouse"),
    show_default=True,
    metavar="DIR",
    help="Folder of the warehouse.",
)


format_option = click.option(
    "--format",
    "format",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="What to write to stdout.",
)
stack_option = click.option(
    "--stack", "stacks", multiple=True, metavar="S", help="Only this stack, or those of a glob; may be repeated."
)
limit_option = click.option(
    "--limit", type=click.IntRange(0), metavar="N", help="Rows to print; 0: all.  [default: 20 in a table, else all]"
)
TABLE_ROWS = 20
SHOWN_LINES = 10


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


def describe_summary(summary: Summary) -> str:
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


def show_rejects(warehouse: Path, summary: Summary) -> None:
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
    from pipeline.report.export import FORMATS, export_reports

    chosen = [name.strip() for name in formats.split(",") if name.strip()]
    for name in chosen or [formats]:
        if name not in FORMATS:
            raise click.BadParameter(f"{name!r} is none of: {', '.join(FORMATS)}", param_hint="--format")
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
    from pipeline.ask.query import run_query

    run_query(Layout(warehouse), query, format)


@cli.command()
@click.argument("spec", nargs=-1, required=True, metavar="SPEC")
@warehouse_option
@click.option(
    "--snapshot", "snapshots", multiple=True, metavar="S", help="Only this snapshot; may be repeated.  [default: all]"
)
@stack_option
@click.option("--host", metavar="TARGET", help="Only what a machine of this microarchitecture can run, such as zen4.")
@limit_option
@format_option
def have(
    spec: tuple[str, ...],
    warehouse: Path,
    snapshots: tuple[str, ...],
    stacks: tuple[str, ...],
    host: str | None,
    limit: int | None,
    format: str,
) -> None:
    """Tell whether there is a binary of SPEC, in Spack's spec syntax, and which.

    \b
      spack-warehouse have 'hdf5@1.14: +mpi target=x86_64_v3 %gcc'
      spack-warehouse have --host zen4 --stack 'e4s*' hdf5

    Exit status 0: there is, and stdout has the matches of every snapshot, the newest first. 3: there is
    none, and stderr has the nearest misses, each with what was asked and what is there. 2: SPEC is
    wrong, and a caret is under the place.

    target=zen4 means built for zen4 itself. --host zen4 takes every target that a zen4 runs, of Linux
    (or macOS for Apple's) unless SPEC names a platform. What comes after %gcc is asked of gcc, as in
    Spack 1.0: variants of the package come before it.
    """
    from pipeline.ask.have import HIT_COLUMNS, explain_none, find_specs, guess_host
    from pipeline.ask.rows import print_rows
    from pipeline.ask.scope import choose_snapshots, choose_stacks
    from pipeline.spack.syntax import parse_spec
    from pipeline.store.database import open_database

    query = parse_spec(" ".join(spec))
    machine = guess_host(check_host(host), query.platform) if host else None
    with open_database(Layout(warehouse)) as connection:
        chosen = choose_snapshots(connection, snapshots)
        within = choose_stacks(connection, chosen, stacks)
        answer = find_specs(connection, query, chosen, within, machine)
        shown = cut_rows(answer.hits, limit, format)
        print_rows(HIT_COLUMNS, (hit.row() for hit in shown), format)
        if answer.hits:
            if machine:
                say("whether the host's libc is new enough for a match is unknown: caches tell none; compare the os")
            return
        for line in explain_none(connection, query, answer, chosen, within):
            click.echo(line, err=True)
    sys.exit(FALLS_SHORT)


@cli.command()
@warehouse_option
@click.option("--snapshot", metavar="S", help="The snapshot to look at.  [default: the newest]")
@stack_option
@click.option(
    "--expected",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What should be there: a list of specs, a spack.yaml or a spack.lock.",
)
@click.option("--items", is_flag=True, help="With --expected: a row for each expected spec, and what is nearest to it.")
@limit_option
@format_option
def gaps(
    warehouse: Path,
    snapshot: str | None,
    stacks: tuple[str, ...],
    expected: Path | None,
    items: bool,
    limit: int | None,
    format: str,
) -> None:
    """Rank what stacks lack that others have, or measure them against what is expected.

    \b
      spack-warehouse gaps --stack e4s-cray-rhel
      spack-warehouse gaps --expected spack.yaml --snapshot develop-2025-03-30

    FILE is a list with a spec to a line (# begins a comment), a spack.yaml, whose definitions and
    matrices are written out, or a spack.lock, whose specs are looked for by hash and then by what a
    user sees of them. The stack * stands for any, or root. What is not evaluated, such as when: and
    ^dependencies, is told on stderr.

    Exit status 3: something expected is nowhere, or, with --stack, is missing in one of those.
    """
    from pipeline.ask.coverage import COVERAGE_COLUMNS, GAP_COLUMNS, ITEM_COLUMNS, measure_coverage, rank_gaps
    from pipeline.ask.expected import read_expected
    from pipeline.ask.rows import print_rows
    from pipeline.ask.scope import choose_snapshot, choose_stacks
    from pipeline.store.database import open_database

    if items and expected is None:
        raise click.UsageError("--items needs --expected")
    wanted = read_expected(expected) if expected is not None else None
    with open_database(Layout(warehouse)) as connection:
        chosen = choose_snapshot(connection, snapshot)
        within = choose_stacks(connection, [chosen], stacks)
        if wanted is None:
            print_rows(GAP_COLUMNS, cut_rows(rank_gaps(connection, chosen, within), limit, format), format)
            return
        coverages = measure_coverage(connection, wanted.items, chosen, within)
    if items:
        rows = [row for coverage in coverages for row in coverage.item_rows()]
        print_rows(ITEM_COLUMNS, cut_rows(rows, limit, format), format)
    else:
        rows = [coverage.row() for coverage in coverages]
        print_rows(COVERAGE_COLUMNS, cut_rows(rows, limit, format), format)
    say_some(wanted.notes)
    judged = coverages if within else coverages[:1]
    say_some(
        [
            f"missing {'in ' + coverage.stack if within else 'everywhere'}: {finding.describe()}"
            for coverage in judged
            for finding in coverage.missing
        ]
    )
    if any(coverage.missing for coverage in judged):
        sys.exit(FALLS_SHORT)


@cli.command()
@click.argument("before", metavar="FROM")
@click.argument("after", metavar="TO")
@warehouse_option
@click.option(
    "--by",
    type=click.Choice(["summary", "lost", "hash", "configuration"]),
    default="summary",
    show_default=True,
    help="What to list: counts, every loss with its cause, or every hash or configuration lost or gained.",
)
@click.option("--package", "packages", multiple=True, metavar="P", help="Only this package; may be repeated.")
@stack_option
@limit_option
@format_option
def diff(
    before: str,
    after: str,
    warehouse: Path,
    by: str,
    packages: tuple[str, ...],
    stacks: tuple[str, ...],
    limit: int | None,
    format: str,
) -> None:
    """Tell what changed from snapshot FROM to snapshot TO.

    \b
      spack-warehouse diff develop-2025-03-16 develop-2025-03-30
      spack-warehouse diff develop-2025-03-16 develop-2025-03-30 --by lost --stack 'e4s*'

    A rebuild changes every hash and no configuration: package, version, compiler family, os, target and
    variants. What a stack holds no more has a cause: the stack was removed, the package is gone from it,
    another version, compiler, target, os or variants took its place, or only the hash changed.

    Of what a source in TO does not tell, as its page is missing or broken, nothing is known: that is
    neither lost nor gained, and its cause is "source missing". Exit status 0, whatever changed.
    """
    from pipeline.ask.diff import (
        CAUSE_COLUMNS,
        DIFF_COLUMNS,
        SUMMARY_COLUMNS,
        Question,
        list_changes,
        summarise_changes,
    )
    from pipeline.ask.rows import print_rows
    from pipeline.ask.scope import choose_snapshot, choose_stacks
    from pipeline.store.database import open_database

    with open_database(Layout(warehouse)) as connection:
        chosen = [choose_snapshot(connection, name) for name in (before, after)]
        within = choose_stacks(connection, chosen, stacks)
        asked = Question(chosen[0], chosen[1], packages, within)
        if by != "summary":
            print_rows(DIFF_COLUMNS[by], cut_rows(list_changes(connection, asked, by), limit, format), format)
            return
        summary = summarise_changes(connection, asked)
    if format == "table":
        print_rows(*drop_empty(SUMMARY_COLUMNS, summary.totals), format)
        print_rows(CAUSE_COLUMNS, summary.causes, format)
        print_rows(*drop_empty(SUMMARY_COLUMNS, cut_rows(summary.gains, limit, format)), format)
    else:
        print_rows(SUMMARY_COLUMNS, cut_rows(summary.rows(), limit, format), format)
    if summary.unknown:
        unknown = sum(int(str(row[-1])) for row in summary.unknown)
        say(
            f"not known to be lost: {number_of(unknown, 'spec')} of {before}, for {after} has no whole page of the "
            "package; see: --by lost, cause source missing"
        )


def drop_empty(
    columns: Sequence[tuple[str, str]], rows: Sequence[tuple[object, ...]]
) -> tuple[list[tuple[str, str]], list[tuple[object, ...]]]:
    """Columns and rows without the columns that hold nothing."""
    kept = [at for at in range(len(columns)) if any(row[at] is not None for row in rows)]
    return [columns[at] for at in kept], [tuple(row[at] for at in kept) for row in rows]


@cli.command()
@warehouse_option
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("gates.yaml"),
    show_default=True,
    metavar="FILE",
    help="The gates; examples/gates.yaml explains each.",
)
@click.option("--snapshot", metavar="S", help="The snapshot to judge, in place of the file's.")
@click.option("--baseline", metavar="S", help="The snapshot to compare with, in place of the file's.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The day to judge on, YYYY-MM-DD.  [default: this day, UTC]",
)
@click.option(
    "--format",
    "format",
    type=click.Choice(["table", "csv", "json", "github"]),
    default="table",
    show_default=True,
    help="What to write to stdout; github: annotations of a workflow run.",
)
def gate(
    warehouse: Path,
    config: Path,
    snapshot: str | None,
    baseline: str | None,
    today: datetime | None,
    format: str,
) -> None:
    """Hold a snapshot to the gates of a file, for CI.

    \b
      spack-warehouse gate --config gates.yaml --format github

    Gates: a least coverage per stack, no package lost against a baseline, no rejects, no wrong meta, no
    stale snapshot. stdout has what falls short, a row each. What cannot be judged, since a snapshot or
    a stack is not there, falls short too. Allowances that have expired are told on stderr.

    Exit status 0: every gate holds. 3: something falls short. 1: the file of gates is wrong; each fault
    is a line with its place.
    """
    from pipeline.ask.gates import SHORTFALL_COLUMNS, annotate, judge, override, read_gates
    from pipeline.ask.rows import print_rows
    from pipeline.store.database import open_database

    refuse_missing(config, "examples/gates.yaml")
    gates = override(read_gates(config), snapshot, baseline)
    if baseline is not None and gates.lost is None:
        raise click.BadParameter(f"{config} has no gate 'lost' that compares", param_hint="--baseline")
    day = today.date() if today else datetime.now(UTC).date()
    with open_database(Layout(warehouse)) as connection:
        verdict = judge(connection, gates, day)
    if format == "github":
        for line in annotate(verdict):
            click.echo(line)
    else:
        print_rows(SHORTFALL_COLUMNS, verdict.rows(), format)
        for line in verdict.note_lines():
            say(line)
    say(verdict.summary())
    if verdict.shortfalls:
        sys.exit(FALLS_SHORT)


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
    from pipeline.schedule import list_paths, list_steps
    from pipeline.schedule import run as run_steps
    from pipeline.steplog import ENDED, FAILED, StepLog

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


def say_some(lines: list[str]) -> None:
    """The first lines on stderr, and how many there are more."""
    for line in lines[:SHOWN_LINES]:
        say(line)
    if len(lines) > SHOWN_LINES:
        say(f"… and {len(lines) - SHOWN_LINES:,} more")


def check_host(target: str) -> str:
    """``target``, which archspec must know: of no other can be said what it runs."""
    from archspec.cpu import TARGETS

    from pipeline.ask.scope import suggest_names

    if target not in TARGETS:
        near = ", ".join(suggest_names(target, TARGETS))
        raise click.BadParameter(
            f"{target!r} is no microarchitecture that archspec knows" + (f"; near: {near}" if near else ""),
            param_hint="--host",
        )
    return target


def cut_rows(rows: Sequence[T], limit: int | None, format: str) -> Sequence[T]:
    """The rows to print; that there are more is said on stderr."""
    most = limit if limit is not None else TABLE_ROWS if format == "table" else 0
    if most and len(rows) > most:
        say(f"the first {most:,} of {len(rows):,} rows; all: --limit 0")
        return rows[:most]
    return rows


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
    signal.signal(signal.SIGTERM, _end_on_signal)
    interrupt_on_signals()
    cli(prog_name="spack-warehouse")
