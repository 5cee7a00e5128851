"""What is said beside the matches of a spec, and where there are none: each thing in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import duckdb

from pipeline.ask.have import Answer, Held, NearMiss, Reader, find_specs
from pipeline.ask.machine import Machine
from pipeline.ask.names import Names
from pipeline.ask.scope import list_before
from pipeline.io.progress import number_of
from pipeline.schema import INSTALLABLE, ROOT
from pipeline.spack.spec import Miss, Query
from pipeline.spack.systems import match_libc


def describe_libcs(hits: Sequence[Held], host: Machine) -> str | None:
    """What is not known of the libcs that ``hits`` need, in one line; None where nothing is amiss."""
    unknown = [hit for hit in hits if match_libc(hit.spec.libc, hit.spec.libc_known, host.libc) == "unknown"]
    if not unknown:
        return None
    said = f"whether the host's libc is new enough is unknown for {len(unknown):,} of {len(hits):,} matches: "
    if any(hit.spec.libc_known for hit in unknown):
        return said + "--host-libc names it, such as 2.35"
    return said + "their sources do not say what they need; compare the os"


def describe_last_seen(
    connection: duckdb.DuckDBPyConnection,
    query: Query,
    snapshots: Sequence[str],
    stacks: Sequence[str],
    host: Machine | None,
    reader: Reader | None,
    cache_only: bool,
) -> str | None:
    """In one line the newest snapshot before ``snapshots`` that had a hit, and the first; None where none had."""
    before = list_before(connection, snapshots)
    hits = find_specs(connection, query, before, stacks, host, reader, cache_only).hits if before else []
    return f"last seen in {hits[0].snapshot}: {_name_example(hits[0])}" if hits else None


def explain_none(
    connection: duckdb.DuckDBPyConnection,
    query: Query,
    answer: Answer,
    snapshots: Sequence[str],
    stacks: Sequence[str],
    host: Machine | None = None,
) -> list[str]:
    """Why there is no hit, a line for each thing to know: the nearest misses, and what misspelt names may mean."""
    names = Names(connection)
    unknown = list(names.describe_unknown(query, host))
    if query.package not in (None, *names.packages):
        return unknown
    return [*_explain_misses(connection, query, answer, snapshots, stacks), *unknown]


def _explain_misses(
    connection: duckdb.DuckDBPyConnection,
    query: Query,
    answer: Answer,
    snapshots: Sequence[str],
    stacks: Sequence[str],
) -> list[str]:
    """The nearest misses, or where else there is anything of the package, which the warehouse has if it is named."""
    scope = _describe_scope(connection, snapshots, stacks)
    if answer.nearest:
        if query.package is None:
            first = f"no spec in {scope} is {query.text}; nearest in {snapshots[0]}:"
        else:
            first = f"none of the {answer.considered:,} specs of {query.package} in {scope} is {query.text}; nearest:"
        return [first, *map(_describe_near, answer.nearest), *_list_missing(connection, answer.nearest, stacks)]
    if query.package is None:
        return [f"no spec in {scope} is {query.text}"]
    if query.hash is not None:
        return [f"no spec of {query.package} in {scope} has a hash that begins with {query.hash}"]
    places = connection.execute(
        """
        select distinct snapshot, stack from spec_stacks where package = ? order by snapshot, stack
        """,
        [query.package],
    ).fetchall()
    other = [snapshot for snapshot, _ in places]
    where = f"stacks {_list_some([stack for _, stack in places if stack != ROOT])} of " if stacks else ""
    return [f"no spec of {query.package} in {scope}; there are some in {where}{_list_some(other)}"]


def _list_missing(
    connection: duckdb.DuckDBPyConnection, nearest: Sequence[NearMiss], stacks: Sequence[str]
) -> Iterator[str]:
    """A line on what is missing to install the first of ``nearest`` that is not installable, in its first stack."""
    for near in nearest:
        example = near.example
        if Miss(INSTALLABLE.name, "true", "false") not in near.misses:
            continue
        rows = connection.execute(
            """
            select stack, missing_package, missing_hash, reason from missing_dependencies
            where snapshot = $snapshot and hash = $hash and (len($stacks) = 0 or list_contains($stacks, stack))
            order by stack, depth, missing_package, missing_hash
            """,
            {"snapshot": example.snapshot, "hash": example.spec.hash, "stacks": list(stacks)},
        ).fetchall()
        parts = [f"{package} /{hash[:7]} ({reason})" for stack, package, hash, reason in rows if stack == rows[0][0]]
        yield f"  missing in {rows[0][0]} for {example.spec.package} /{example.spec.hash[:7]}: {', '.join(parts)}"
        return


def _describe_scope(connection: duckdb.DuckDBPyConnection, snapshots: Sequence[str], stacks: Sequence[str]) -> str:
    (total,) = connection.execute("select count(*) from snapshots").fetchone() or (0,)
    where = f"any of {total:,} snapshots" if total == len(snapshots) > 1 else _list_some(snapshots)
    return f"{_list_some(stacks)} of {where}" if stacks else where


def _list_some(names: Iterable[str], count: int = 3) -> str:
    distinct = list(dict.fromkeys(names))
    more = len(distinct) - count
    return ", ".join(distinct[:count]) + (f" and {more} more" if more > 0 else "")


def describe_misses(misses: Iterable[Miss]) -> str:
    """What was asked and what is there, axis by axis, in one line."""
    return "; ".join(f"{axis}: asked {asked}, has {found or 'no such'}" for axis, asked, found in misses)


def _describe_near(near: NearMiss) -> str:
    return (
        f"  {number_of(near.specs, 'spec')}: {describe_misses(near.misses)} "
        f"(such as {_name_example(near.example, of_snapshot=True)})"
    )


def _name_example(one: Held, of_snapshot: bool = False) -> str:
    where = ", ".join(one.stacks) or ROOT
    of = f" of {one.snapshot}" if of_snapshot else ""
    return f"{one.spec.package}@{one.spec.version} /{one.spec.hash[:7]}{of} in {where}"
