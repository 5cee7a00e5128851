"""The commands that ask a warehouse: ``have``, ``gaps``, ``diff`` and ``gate``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.io.progress import number_of
from pipeline.io.streams import say, say_some, write_lines
from pipeline.layout import Layout
from pipeline.options import (
    SOMETHING_FAILS,
    choose_machine,
    cut_rows,
    find_day,
    limit_option,
    machine_options,
    refuse_missing,
    spack_option,
    stack_option,
    today_option,
    warehouse_option,
)
from pipeline.terminal.complete import (
    complete_packages,
    complete_places,
    complete_snapshots,
    complete_specs,
)
from pipeline.terminal.days import DaysCommand, DiffCommand
from pipeline.terminal.shape import Shape, shape_options

if TYPE_CHECKING:
    import duckdb

    from pipeline.ask.gaps import Gap
    from pipeline.ask.gates import Allowances
    from pipeline.ask.scope import Place


@click.command(cls=DaysCommand)
@click.argument("spec", nargs=-1, required=True, metavar="SPEC", shell_complete=complete_specs)
@warehouse_option
@click.option(
    "--snapshot",
    "snapshots",
    multiple=True,
    metavar="S",
    shell_complete=complete_snapshots,
    help="Only this snapshot, or those of a glob; may be repeated.  [default: all]",
)
@stack_option
@machine_options
@spack_option
@click.option("--cache-only", is_flag=True, help="Only what installs without building, by what it links and runs with.")
@limit_option
@shape_options()
def have(
    spec: tuple[str, ...],
    warehouse: Path,
    snapshots: tuple[str, ...],
    stacks: tuple[str, ...],
    here: bool,
    host: str | None,
    host_os: str | None,
    host_libc: str | None,
    spack: str | None,
    cache_only: bool,
    limit: int | None,
    shape: Shape,
) -> None:
    """Find the binaries of SPEC, in Spack's spec syntax.

    \b
      spack-warehouse have 'hdf5@1.14: +mpi target=x86_64_v3 %gcc'
      spack-warehouse have --host zen4 --stack 'e4s*' hdf5
      spack-warehouse have --here hdf5

    Exit status 0: there is, and stdout has the matches of every snapshot, the newest first. 3: there is
    none, and stderr has the nearest misses, each with what was asked and what is there, and the newest
    earlier snapshot that had a match. 2: SPEC is wrong, and a caret is under the place.

    target=zen4 means built for zen4 itself. --host zen4 takes every target that a zen4 runs, of Linux
    (or macOS for Apple's) unless SPEC names a platform. --here takes this machine's target, platform,
    release of macOS and, on Linux, C library: by that Spack decides there, and not by the system's name.
    A binary whose source does not say which libc it needs, as pages do not, is a match. --spack 0.22 takes
    what stands in a cache whose index that Spack reads, by its database and layout; it does not say what that
    Spack makes of it. --cache-only takes what spack install --cache-only takes: all that the spec links and
    runs with is in the cache of the same stack (with --stack, of one of those), else in root's, else external.
    Of pages that is not known, and they give no match. What comes after %gcc is asked of gcc, as in Spack
    1.0: variants of the package come before it.
    """
    from pipeline.ask.explain import describe_last_seen, describe_libcs, explain_none
    from pipeline.ask.have import HIT_COLUMNS, find_specs, load_reader
    from pipeline.ask.scope import choose_snapshots, choose_stacks
    from pipeline.spack.spec import parse_spec
    from pipeline.store.database import open_database
    from pipeline.terminal.layouts import HITS
    from pipeline.terminal.tables import print_rows

    query = parse_spec(" ".join(spec))
    machine = choose_machine(query.platform, here, host, host_os, host_libc)
    if machine and here:
        say(f"this machine: {machine}")
    with open_database(Layout(warehouse)) as connection:
        chosen = choose_snapshots(connection, snapshots, say)
        within = choose_stacks(connection, chosen, stacks)
        say_not_of_today(connection, chosen, within)
        reader = load_reader(connection, spack) if spack else None
        answer = find_specs(connection, query, chosen, within, machine, reader, cache_only)
        shown = cut_rows(answer.hits, limit, shape.format)
        print_rows(HIT_COLUMNS, [hit.row() for hit in shown], shape, HITS)
        if answer.hits:
            unknown = [
                describe_libcs(answer.hits, machine) if machine else None,
                reader.describe_unknown(answer.hits) if reader else None,
            ]
            say_some([line for line in unknown if line])
            return
        for line in explain_none(connection, query, answer, chosen, within, machine):
            say(line)
        last_seen = describe_last_seen(connection, query, chosen, within, machine, reader, cache_only)
        if last_seen:
            say(last_seen)
    sys.exit(SOMETHING_FAILS)


@click.command(cls=DaysCommand)
@warehouse_option
@click.option(
    "--snapshot",
    metavar="S",
    shell_complete=complete_snapshots,
    help="The snapshot to look at.  [default: the newest]",
)
@stack_option
@click.option(
    "--expected",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What should be there: a list of specs, a spack.yaml or a spack.lock.",
)
@click.option("--items", is_flag=True, help="With --expected: a row for each expected spec, and what is nearest to it.")
@click.option("--with-build", is_flag=True, help="With a spack.lock: what builds its specs is expected, too.")
@click.option(
    "--known",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Gaps that are on purpose, which are listed apart; examples/known.yaml explains them.",
)
@today_option("The day on which what is known may have expired")
@limit_option
@shape_options()
def gaps(
    warehouse: Path,
    snapshot: str | None,
    stacks: tuple[str, ...],
    expected: Path | None,
    items: bool,
    with_build: bool,
    known: Path | None,
    today: datetime | None,
    limit: int | None,
    shape: Shape,
) -> None:
    """List what stacks lack of what others have, or of a list.

    \b
      spack-warehouse gaps --stack 'ml-*' --known known.yaml
      spack-warehouse gaps --expected spack.yaml --snapshot develop-2025-03-30

    A gap is ready where the stack has, by name, all that some other stack's spec of the package links and
    runs with; else it is blocked by what is lacking. Of what pages alone describe, neither is known.
    last_seen is the newest earlier snapshot in which the stack had the package. A table lists the gaps of
    --known after the others; CSV and JSON have all, with the columns known and expires.

    FILE is a list with a spec to a line (# begins a comment), a spack.yaml, whose definitions and
    matrices are written out, or a spack.lock, whose specs are looked for by hash and then by what a
    user sees of them. The stack * stands for any, or root. What is not evaluated, such as when: and
    ^dependencies, is reported on stderr.

    Exit status 3: something expected is nowhere, or, with --stack, is missing in one of those.
    """
    from pipeline.ask.coverage import COVERAGE_COLUMNS, ITEM_COLUMNS, measure_coverage, read_expected
    from pipeline.ask.gaps import rank_gaps
    from pipeline.ask.gates import Allowances
    from pipeline.ask.names import Names
    from pipeline.ask.scope import choose_snapshot, choose_stacks
    from pipeline.settings import read_known_gaps
    from pipeline.store.database import open_database
    from pipeline.terminal.layouts import COVERAGE, ITEMS
    from pipeline.terminal.tables import print_rows

    if items and expected is None:
        raise click.UsageError("--items needs --expected")
    if with_build and expected is None:
        raise click.UsageError("--with-build needs --expected")
    if known is not None and expected is not None:
        raise click.UsageError("--known is of what other stacks have, and not of what is expected")
    allowances = Allowances(read_known_gaps(known).known, find_day(today)) if known is not None else None
    wanted = read_expected(expected, with_build) if expected is not None else None
    with open_database(Layout(warehouse)) as connection:
        chosen = choose_snapshot(connection, snapshot, say)
        within = choose_stacks(connection, [chosen], stacks)
        say_not_of_today(connection, [chosen], within)
        if wanted is None:
            print_gaps(connection, rank_gaps(connection, chosen, within), allowances, limit, shape)
            if allowances is not None:
                say_some([f"{known}:{line}: {text}" for line, text in allowances.list_notes("is of no gap")])
            return
        coverages = measure_coverage(connection, wanted.items, chosen, within, wanted.aside)
        if items:
            rows = [row for coverage in coverages for row in coverage.item_rows()]
            print_rows(ITEM_COLUMNS, cut_rows(rows, limit, shape.format), shape, ITEMS)
        else:
            rows = [coverage.row() for coverage in coverages]
            print_rows(COVERAGE_COLUMNS, cut_rows(rows, limit, shape.format), shape, COVERAGE)
        say_some(wanted.notes)
        judged = coverages if within else coverages[:1]
        missing = [(coverage.stack, finding) for coverage in judged for finding in coverage.missing]
        names = Names(connection)
        say_some(missing, lambda one: f"missing {f'in {one[0]}' if within else 'everywhere'}: {one[1].describe(names)}")
    for coverage in judged:
        say_some(coverage.describe_causes())
    if missing:
        sys.exit(SOMETHING_FAILS)


def print_gaps(
    connection: duckdb.DuckDBPyConnection,
    gaps: Sequence[Gap],
    allowances: Allowances | None,
    limit: int | None,
    shape: Shape,
) -> None:
    """Print ``gaps``, those that are on purpose apart; only what is printed is judged."""
    from pipeline.ask.gaps import judge_gaps, lay_out_gaps
    from pipeline.terminal.layouts import GAPS
    from pipeline.terminal.tables import print_sections

    laid_out = lay_out_gaps(gaps, allowances, shape.is_laid_out)
    sections = [(columns, cut_rows(part, limit, shape.format)) for columns, part in laid_out]
    judged = iter(judge_gaps(connection, [gap for _, part in sections for gap in part]))
    print_sections([(columns, [next(judged)[: len(columns)] for _ in part]) for columns, part in sections], shape, GAPS)


@click.command(cls=DiffCommand)
@click.argument("before", metavar="[FROM", required=False, shell_complete=complete_places)
@click.argument("after", metavar="TO]", required=False, shell_complete=complete_places)
@warehouse_option
@click.option(
    "--by",
    type=click.Choice(["summary", "lost", "head", "hash", "configuration", "package"]),
    default="summary",
    show_default=True,
    help="What to list: counts, every loss with its cause or head, every hash, configuration or, of stacks, package.",
)
@click.option(
    "--package",
    "packages",
    multiple=True,
    metavar="P",
    shell_complete=complete_packages,
    help="Only this package; may be repeated.",
)
@stack_option
@limit_option
@shape_options()
def diff(
    before: str | None,
    after: str | None,
    warehouse: Path,
    by: str,
    packages: tuple[str, ...],
    stacks: tuple[str, ...],
    limit: int | None,
    shape: Shape,
) -> None:
    """Show what changed between two snapshots, or two stacks.

    \b
      spack-warehouse diff
      spack-warehouse diff develop-2025-03-16 develop-2025-03-30
      spack-warehouse diff develop-2025-03-16 develop-2025-03-30 --by lost --stack 'e4s*'
      spack-warehouse diff latest/e4s latest/ml-linux-x86_64-cpu

    Without arguments that is from previous to latest. A snapshot is a name, a day such as 2025-03-30, a pattern,
    of which the newest counts, or else latest (or newest), previous, the one before it in its series whose sources
    were all loaded, or -7d, the newest weekly one at least 7 days older; stderr says which it is. As SNAPSHOT/STACK,
    stacks are compared: what the first alone has, the second alone, and both; where one side names no stack, it is
    the other's.

    A rebuild changes every hash and no configuration: package, version, compiler family, os, target, variants
    and namespace. What a stack no longer holds has a cause: the stack was removed, the package is gone from it,
    another namespace, version, compiler, target, os or variants took its place. Where only the hash changed, that
    is: recipe changed; dependency changed, and which; Spack's format changed; or unknown, as pages do not say why.
    Packages that are gone from a stack are listed by their head: the lost one that no other lost one needed there.

    Of what no source in TO says, as its page is missing or broken, nothing is known: that is
    neither lost nor gained, and its cause is "source missing". Exit status 0, whatever changed.
    """
    from pipeline.ask.diff import (
        CAUSE_COLUMNS,
        HEAD_COLUMNS,
        SUMMARY_COLUMNS,
        Question,
        SnapshotDiff,
        list_change_columns,
        list_changes,
        sum_up_losses,
    )
    from pipeline.ask.scope import LATEST, PREVIOUS, choose_places, choose_stacks, refuse_unknown_packages
    from pipeline.store.database import open_database
    from pipeline.terminal.layouts import CHANGES, LOSSES
    from pipeline.terminal.tables import print_rows, print_sections

    if before is not None and after is None:
        raise click.UsageError("Missing argument 'TO'.")
    with open_database(Layout(warehouse)) as connection:
        typed = (before or PREVIOUS).strip(), (after or LATEST).strip()
        first, second = choose_places(connection, *typed, say)
        if typed != (str(first), str(second)):
            say(f"from {first} to {second}")
        refuse_unknown_packages(connection, packages)
        if first.stack is not None:
            if stacks or by in ("lost", "head"):
                raise click.UsageError("--stack and --by lost or head are of snapshots, not of SNAPSHOT/STACK")
            print_stack_diff(connection, first, second, by, packages, limit, shape)
            return
        if by == "package":
            raise click.UsageError("--by package is of SNAPSHOT/STACK")
        chosen = [first.snapshot, second.snapshot]
        within = choose_stacks(connection, chosen, stacks)
        say_not_of_today(connection, chosen, within)
        asked = Question(chosen[0], chosen[1], packages, within)
        if by != "summary":
            rows = cut_rows(list_changes(connection, asked, by), limit, shape.format)
            print_rows(list_change_columns(connection, by), rows, shape, LOSSES if by == "lost" else CHANGES)
            return
        compared = SnapshotDiff(connection, asked)
        summary = compared.summary
        losses = sum_up_losses(compared.heads) if shape.is_laid_out else []
    if shape.is_laid_out:
        print_sections(
            [
                (SUMMARY_COLUMNS, summary.totals),
                (CAUSE_COLUMNS, summary.causes),
                (HEAD_COLUMNS, cut_rows(losses, limit, shape.format)),
                (SUMMARY_COLUMNS, cut_rows(summary.gains, limit, shape.format)),
            ],
            shape,
            CHANGES,
        )
    else:
        print_rows(SUMMARY_COLUMNS, cut_rows(summary.rows(), limit, shape.format), shape, CHANGES)
    if summary.unknown:
        unknown = sum(int(str(row[-1])) for row in summary.unknown)
        say(
            f"not known to be lost: {number_of(unknown, 'spec')} of {asked.before}, for {asked.after} has no whole "
            "page of the package; see: --by lost, cause source missing"
        )


def print_stack_diff(
    connection: duckdb.DuckDBPyConnection,
    first: Place,
    second: Place,
    by: str,
    packages: Sequence[str],
    limit: int | None,
    shape: Shape,
) -> None:
    """What one of two stacks alone has, listed, or counted; on stderr, what of them is not of today."""
    from pipeline.ask.diff import STACK_COUNT_COLUMNS, count_stack_diff, list_stack_diff
    from pipeline.terminal.layouts import CHANGES
    from pipeline.terminal.tables import print_rows

    for place in dict.fromkeys((first, second)):
        say_not_of_today(connection, [place.snapshot], [str(place.stack)])
    if by == "summary":
        print_rows(STACK_COUNT_COLUMNS, count_stack_diff(connection, first, second, packages), shape, CHANGES)
        return
    columns, rows = list_stack_diff(connection, first, second, by, packages)
    if shape.is_laid_out:
        # For programs the column keeps its values, which are those of the macro.
        at = [name for name, _ in columns].index("held_by")
        names = {"a": str(first), "b": str(second)}
        rows = [(*row[:at], names[str(row[at])], *row[at + 1 :]) for row in rows]
    print_rows(columns, cut_rows(rows, limit, shape.format), shape, CHANGES)


@click.command(cls=DaysCommand)
@warehouse_option
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("gates.yaml"),
    show_default=True,
    metavar="FILE",
    help="The gates; examples/gates.yaml explains each.",
)
@click.option(
    "--snapshot",
    metavar="S",
    shell_complete=complete_snapshots,
    help="The snapshot to judge, in place of the file's.",
)
@click.option(
    "--baseline",
    metavar="S",
    shell_complete=complete_snapshots,
    help="The snapshot to compare with, in place of the file's.",
)
@today_option("The day to judge on")
@shape_options("github", note="; github: annotations of a workflow run")
def gate(
    warehouse: Path,
    config: Path,
    snapshot: str | None,
    baseline: str | None,
    today: datetime | None,
    shape: Shape,
) -> None:
    """Hold a snapshot to the gates of a file, for CI.

    \b
      spack-warehouse gate --config gates.yaml --format github
      spack-warehouse gate --snapshot latest --baseline previous

    Gates: a least coverage per stack, no package lost against a baseline, no rejects, no wrong meta, no
    stale snapshot, a least share of specs that install without building. stdout has what fails, a row each.
    A gate that cannot be judged, since a snapshot or a stack is not there, fails too. Allowances that have
    expired are listed on stderr.

    Exit status 0: every gate holds. 3: one fails. 1: the file of gates is wrong; each fault
    is a line with its place.
    """
    from pipeline.ask.gates import SHORTFALL_COLUMNS, annotate, judge, override
    from pipeline.settings import read_gates
    from pipeline.store.database import open_database
    from pipeline.terminal.layouts import SHORTFALLS
    from pipeline.terminal.tables import print_rows

    refuse_missing(config, "examples/gates.yaml")
    gates = override(read_gates(config), snapshot, baseline)
    if baseline is not None and gates.lost is None:
        raise click.BadParameter(f"{config} has no gate 'lost' that compares", param_hint="--baseline")
    with open_database(Layout(warehouse)) as connection:
        verdict = judge(connection, gates, find_day(today))
    if shape.format == "github":
        write_lines("".join(f"{line}\n" for line in annotate(verdict)))
    else:
        print_rows(SHORTFALL_COLUMNS, verdict.rows(), shape, SHORTFALLS)
        for line in verdict.note_lines():
            say(line)
    say(verdict.summary())
    if verdict.shortfalls:
        sys.exit(SOMETHING_FAILS)


def say_not_of_today(connection: duckdb.DuckDBPyConnection, snapshots: Sequence[str], stacks: Sequence[str]) -> None:
    """Say which sources of some snapshots are stale, shrunk or failed; of indexes only those of ``stacks``, if any."""
    from pipeline.ask.scope import group_not_loaded

    not_loaded = group_not_loaded(connection, snapshots)
    say_some(
        [
            f"not of today: {snapshot}: {one.describe()}"
            for snapshot in snapshots
            for one in not_loaded[snapshot]
            if not stacks or one.stack is None or one.stack in stacks
        ]
    )
