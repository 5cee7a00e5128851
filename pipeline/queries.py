"""The commands that open a warehouse as it is: its checks, one SQL query, DuckDB's own shell."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import WarehouseError
from pipeline.io.progress import number_of
from pipeline.io.streams import show_text, write_lines
from pipeline.layout import Layout
from pipeline.options import SOMETHING_FAILS, warehouse_option
from pipeline.terminal.shape import format_option

if TYPE_CHECKING:
    from pipeline.store.checks import Check


MARK, OFFENDER = " " * 9, " " * 11
"""What stands before the name of a check, and before an offender."""


@click.command()
@warehouse_option
def check(warehouse: Path) -> None:
    """Run every check on the warehouse and print what fails.

    \b
      spack-warehouse check
      spack-warehouse check --warehouse /srv/warehouse

    Of each check the first offenders are printed. Warnings are about the input: rejects, a page whose own
    counts are wrong, unknown keys. A failed check means that the warehouse itself is wrong, or that a
    published file is not as its build wrote it; then the exit status is 3.
    """
    from pipeline.store.checks import check_files, run_checks
    from pipeline.store.database import open_database
    from pipeline.terminal.tables import fold, measure_terminal

    checks = [check_files(Layout(warehouse))]
    with open_database(Layout(warehouse)) as connection:
        checks += run_checks(connection)
    lines = [line for one in checks for line in describe_check(one)]
    failed = sum(one.failed for one in checks)
    warned = sum(one.offenders > 0 for one in checks) - failed
    lines.append(f"{number_of(len(checks), 'check')}, {failed} failed, {warned} with warnings")
    lines = [show_text(line) for line in lines]
    # A pipe gets a line for each check and each offender, for whoever counts or finds them by grep.
    if width := measure_terminal():
        lines = [fold(line, len(OFFENDER if line.startswith(OFFENDER) else MARK), width) for line in lines]
    write_lines("".join(f"{line}\n" for line in lines))
    if failed:
        sys.exit(SOMETHING_FAILS)


def describe_check(check: Check) -> Iterator[str]:
    """A check's result: a line, and a line for each of the first offenders."""
    mark = "failed" if check.failed else "warning" if check.offenders else "ok"
    count = f" ({check.offenders:,})" if check.offenders else ""
    yield f"{mark:{len(MARK)}}{check.name}{count}: {check.rule}"
    for row in check.rows:
        yield OFFENDER + ", ".join(f"{name}={value}" for name, value in zip(check.columns, row, strict=True))
    if check.offenders > len(check.rows):
        yield f"{OFFENDER}… and {check.offenders - len(check.rows):,} more"


@click.command()
@click.argument("queries", nargs=-1, metavar="QUERY")
@warehouse_option
@format_option("parquet")
@click.option(
    "--dialect",
    type=click.Choice(("spark", "trino", "athena")),
    help="Print the SQL of views, macros and checks for another engine in place of an answer.",
)
def sql(queries: tuple[str, ...], warehouse: Path, format: str, dialect: str | None) -> None:
    """Answer one SQL query on the warehouse.

    \b
      spack-warehouse sql "from snapshots"
      spack-warehouse sql --format csv "select * from matrix_by_stack where snapshot = 'develop'"
      spack-warehouse sql --dialect spark summary_by_stack "usable_on('zen4')"

    QUERY can read the warehouse, and change nothing and read nothing else. It is one statement of SELECT,
    FROM, WITH, VALUES, PIVOT, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN of these, or PRAGMA table_info. The tables
    and views: describe them with "show tables", or see the data dictionary, docs/dictionary.md. For files of your
    own, and to write any, there is the command shell. CSV is exact here: a text that a spreadsheet would
    take for a formula stays as it is.

    With --dialect nothing is answered: each QUERY is the name of a view, macro or check, or a macro with its
    arguments, and its SQL is printed as the other engine spells it, after that of the views it reads; without any,
    that of all. The engine must have the warehouse's tables by their names.
    """
    if dialect is not None:
        print_for_engine(Layout(warehouse), queries, dialect)
        return
    if len(queries) != 1:
        raise click.UsageError("Missing argument 'QUERY'." if not queries else "One QUERY is answered at a time.")
    from pipeline.ask.query import run_query

    run_query(Layout(warehouse), queries[0], format)


def print_for_engine(layout: Layout, names: Sequence[str], dialect: str) -> None:
    """Print the SQL of the queries that ``names`` are, after that of the views they read; without names, of all.

    Raises:
        NoQueryError: one that is named does not exist.
        QueryError: one is not carried.
    """
    from pipeline.store.database import open_database
    from pipeline.store.dialects import carry, find_asked, list_all

    asked = find_asked(names) if names else list_all()
    with open_database(layout) as connection:
        for one in asked:
            statements = carry(connection, one, dialect, pretty=True)
            write_lines(f"-- {one.query.name}: {one.query.rule}\n" + "".join(f"{text};\n\n" for text in statements))


@click.command(context_settings={"ignore_unknown_options": True})
@warehouse_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def shell(warehouse: Path, arguments: tuple[str, ...]) -> None:
    """Open the DuckDB shell on the warehouse, read-only.

    \b
      spack-warehouse shell
      spack-warehouse shell -- -csv -c "from snapshots"

    ARGUMENTS go to the shell. It is DuckDB's own: it cannot change the warehouse's tables, and reads and
    writes other files, and runs commands, as you may. A build in the meantime does not disturb it: it goes
    on with the warehouse that it has opened.
    """
    from pipeline.io.temporary import database_path, spill_folder
    from pipeline.store.database import find_database, quote_text

    database = find_database(Layout(warehouse))
    # The shell that is installed with the project comes before any other.
    program = shutil.which("duckdb", path=sysconfig.get_path("scripts")) or shutil.which("duckdb")
    if program is None:
        raise WarehouseError("duckdb: the shell is not installed; install the package duckdb-cli")
    with spill_folder() as spill, database_path(database) as plain:
        # Beside the file its spill would be a part of the published build.
        setting = f"set temp_directory = {quote_text(spill)}"
        sys.exit(run_shell([program, "-cmd", setting, "-readonly", str(plain), *arguments]))


def run_shell(command: list[str]) -> int:
    """Run a program that has the terminal; its exit status, as a shell gives it."""
    # Ctrl-C is the program's, to which the terminal sends it too. When a terminal closes, both end.
    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    with subprocess.Popen(command) as process:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            status = process.wait()
        finally:
            process.terminate()
    return status if status >= 0 else 128 - status
