"""Answer whether a warehouse has a spec: the matches, or the nearest misses and what they fail on.

The meaning of a spec is :mod:`pipeline.spack.spec`'s alone. SQL only leaves out what cannot match: by snapshot,
package and hash, and, where no package is named, by the values that each column is found to have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from pipeline.ask.machine import Machine
from pipeline.ask.output import Columns
from pipeline.schema import INSTALLABLE, ROOT
from pipeline.spack.hosts import is_known, measure_ancestors, runs_on
from pipeline.spack.readers import Readers
from pipeline.spack.spec import Candidate, Miss, Query, find_misses
from pipeline.spack.systems import Libc, match_libc, runs_os
from pipeline.spack.versions import version_key

NEAREST = 5
"""Nearest misses that are listed."""

HIT_COLUMNS: Columns = (
    ("hash", "VARCHAR"),
    ("package", "VARCHAR"),
    ("version", "VARCHAR"),
    ("compiler", "VARCHAR"),
    ("platform", "VARCHAR"),
    ("os", "VARCHAR"),
    ("target", "VARCHAR"),
    ("snapshot", "VARCHAR"),
    ("stacks", "VARCHAR[]"),
    ("in_root", "BOOLEAN"),
    ("variants", "VARCHAR[]"),
    ("libc", "VARCHAR"),
    ("installable", "BOOLEAN"),
    ("namespace", "VARCHAR"),
)


@dataclass(frozen=True)
class Held:
    """A spec of a snapshot, and where it stands there; ``stacks`` are without root.

    ``package_hash`` is that of its recipe, None where the source does not say. ``installable`` says whether it installs
    without building from one of its places, or of the stacks that were asked for; None where its sources do not say.
    ``unread`` is why the Spack that asks reads none of the places that were asked for.
    """

    snapshot: str
    spec: Candidate
    stacks: tuple[str, ...]
    in_root: bool
    package_hash: str | None = None
    installable: bool | None = None
    unread: Miss | None = None

    def row(self) -> tuple[object, ...]:
        """The cells of :data:`HIT_COLUMNS`."""
        spec = self.spec
        place = (spec.platform, spec.os, spec.target, self.snapshot, list(self.stacks), self.in_root)
        libc = None if spec.libc is None else str(spec.libc)
        return (
            *(spec.hash, spec.package, spec.version, spec.compiler),
            *(*place, list(spec.variants), libc, self.installable, spec.namespace),
        )


@dataclass(frozen=True)
class Reader:
    """A version of Spack that is to read the caches, and who reads the indexes at each (snapshot, stack)."""

    spack: str
    places: Mapping[tuple[str, str], Readers]

    def restrict(self, one: Held, stacks: Sequence[str]) -> Held:
        """A spec where it can be read, or is not known not to be; with why where none of ``stacks`` (or root) can."""
        readable = [stack for stack in one.stacks if self._reads(one.snapshot, stack) is not False]
        in_root = one.in_root and self._reads(one.snapshot, ROOT) is not False
        if any(stack in stacks for stack in readable) if stacks else (readable or in_root):
            return replace(one, stacks=tuple(readable), in_root=in_root)
        asked = [stack for stack in one.stacks if stack in stacks] if stacks else [*one.stacks, ROOT]
        held = [self.places[one.snapshot, stack] for stack in asked if (one.snapshot, stack) in self.places]
        return replace(one, unread=Miss("spack", self.spack, " or ".join(dict.fromkeys(map(str, held)))))

    def knows(self, one: Held) -> bool:
        """Whether it is known of a place of a spec that it can be read there."""
        places = [*one.stacks, *([ROOT] if one.in_root else [])]
        return any(self._reads(one.snapshot, stack) is not None for stack in places)

    def describe_unknown(self, hits: Sequence[Held]) -> str | None:
        """Of how many ``hits`` it is not known whether it reads them, in one line; None where it is of all."""
        unknown = sum(not self.knows(hit) for hit in hits)
        if not unknown:
            return None
        return (
            f"whether Spack {self.spack} reads the cache is unknown for {unknown:,} of {len(hits):,} matches: "
            "their sources do not say what wrote it"
        )

    def _reads(self, snapshot: str, stack: str) -> bool | None:
        return self.places.get((snapshot, stack), Readers()).include(self.spack)


def load_reader(connection: duckdb.DuckDBPyConnection, spack: str) -> Reader:
    """What the table ``sources`` says of who reads what; of several sources of a place, any will do."""
    rows = connection.execute(
        """
        select snapshot, stack, spack_oldest, spack_newest
        from sources
        where snapshot is not null and stack is not null and specs is not null
        order by all
        """
    ).fetchall()
    places: dict[tuple[str, str], Readers] = {}
    for snapshot, stack, oldest, newest in rows:
        readers = Readers(oldest, newest)
        if places.setdefault((snapshot, stack), readers).include(spack) is False:
            places[snapshot, stack] = readers
    return Reader(spack, places)


@dataclass(frozen=True)
class NearMiss:
    """Specs that fail a query in the same way: what they miss, how many hashes, the first of them."""

    misses: tuple[Miss, ...]
    specs: int
    example: Held


@dataclass(frozen=True)
class Answer:
    """What there is of a query: the hits, or, without any, the nearest of the ``considered`` specs."""

    hits: list[Held]
    considered: int
    nearest: list[NearMiss]


def find_specs(
    connection: duckdb.DuckDBPyConnection,
    query: Query,
    snapshots: Sequence[str],
    stacks: Sequence[str] = (),
    host: Machine | None = None,
    reader: Reader | None = None,
    cache_only: bool = False,
) -> Answer:
    """What ``snapshots``, the newest first, hold of a query, in any of ``stacks`` (or anywhere, root included).

    Hits come by snapshot, then the nearest to the host, then the newest version. With a ``reader`` only what it can
    read counts, with ``cache_only`` what installs without building from there.
    """

    def load(snapshots: Sequence[str], *narrowing: Any) -> list[Held]:
        held = load_specs(connection, snapshots, stacks, *narrowing)
        return held if reader is None else [reader.restrict(one, stacks) for one in held]

    held = load(snapshots, query, host, query.package is None)
    rank = {snapshot: place for place, snapshot in enumerate(snapshots)}
    hits = [one for one in held if not list_misses(query, one, host, cache_only)]
    if hits:
        distances = measure_ancestors(host.target) if host and host.target else {}
        # Sorted by what counts least first: a version's key is a text and has no negative.
        hits.sort(key=lambda one: (one.spec.compiler, one.spec.hash))
        hits.sort(key=lambda one: version_key(one.spec.version), reverse=True)
        hits.sort(key=lambda one: (rank[one.snapshot], distances.get(one.spec.target, 0)))
        return Answer(hits, len(held), [])
    if query.package is None:
        # Of all packages the newest snapshot's specs must do: the others hardly differ.
        held = [] if query.hash else load(snapshots[:1])
    return Answer([], len({one.spec.hash for one in held}), find_nearest(query, held, rank, host, cache_only))


def list_misses(query: Query, one: Held, host: Machine | None, cache_only: bool) -> list[Miss]:
    """Where a held spec misses a query, or what ``host`` can run, the Spack that asks can read, caches install."""
    misses = miss_host(query, one.spec, host)
    if one.unread:
        misses.append(one.unread)
    if cache_only and not one.installable:
        misses.append(Miss(INSTALLABLE.name, "true", "false" if one.installable is False else "unknown"))
    return misses


def miss_host(query: Query, spec: Candidate, host: Machine | None) -> list[Miss]:
    """Where ``spec`` fails ``query``, or what ``host`` can run."""
    misses = find_misses(query, spec)
    return misses if host is None else [*misses, *_miss_machine(query, spec, host)]


def _miss_machine(query: Query, spec: Candidate, host: Machine) -> Iterator[Miss]:
    if host.platform is not None and query.platform is None and spec.platform != host.platform:
        yield Miss("platform", host.platform, spec.platform)
    if host.target is not None and not runs_on(spec.target, host.target):
        known = "" if is_known(spec.target) else ", unresolved: archspec does not know it"
        yield Miss("host", host.target, spec.target + known)
    if host.os is not None and not runs_os(spec.os, host.os):
        yield Miss("os", host.os, spec.os)
    match = match_libc(spec.libc, spec.libc_known, host.libc)
    if spec.libc is not None and host.libc is not None and match in ("too old", "other libc"):
        # The path is said where it is what differs.
        has_path = spec.libc.name == host.libc.name and match == "other libc"
        asked, found = (f"{libc} at {libc.path}" if has_path else str(libc) for libc in (host.libc, spec.libc))
        yield Miss("libc", asked, found)


def find_nearest(
    query: Query,
    held: Iterable[Held],
    rank: Mapping[str, int],
    host: Machine | None = None,
    cache_only: bool = False,
    count: int = NEAREST,
) -> list[NearMiss]:
    """The nearest misses: the fewest things missed first, then of the newest snapshot, then the most specs."""
    groups: dict[tuple[Miss, ...], list[Held]] = {}
    for one in held:
        groups.setdefault(tuple(list_misses(query, one, host, cache_only)), []).append(one)
    nearest = []
    for misses, members in groups.items():
        members.sort(key=lambda one: (rank[one.snapshot], one.spec.hash))
        nearest.append(NearMiss(misses, len({one.spec.hash for one in members}), members[0]))
    nearest.sort(key=lambda near: (len(near.misses), rank[near.example.snapshot], -near.specs, str(near.misses)))
    return nearest[:count]


def load_specs(
    connection: duckdb.DuckDBPyConnection,
    snapshots: Sequence[str],
    stacks: Sequence[str] = (),
    query: Query | None = None,
    host: Machine | None = None,
    narrow: bool = False,
    packages: Sequence[str] | None = None,
) -> list[Held]:
    """The specs of ``snapshots`` that stand in any of ``stacks`` (or anywhere) and may match a query.

    They are of the query's package and hash. With ``narrow`` its other parts leave out what they can,
    too: for a query of all packages. ``packages`` are those to load where there is no query.
    """
    where = ["list_contains($snapshots, snapshot)"]
    given: dict[str, object] = {"snapshots": list(snapshots)}
    if query is not None and query.package is not None:
        where.append("package = $package")
        given["package"] = query.package
    if query is not None and query.hash is not None:
        where.append("starts_with(hash, $hash)")
        given["hash"] = query.hash
    if packages is not None:
        where.append("list_contains($packages, package)")
        given["packages"] = list(packages)
    having = "having list_has_any(array_agg(stack), $stacks)" if stacks else ""
    of_stacks = "filter (where list_contains($stacks, stack))" if stacks else ""
    if stacks:
        given["stacks"] = list(stacks)
    if query is not None and narrow:
        _narrow(connection, query, host, where, given)
    rows = connection.execute(
        f"""
        select
            snapshot,
            any_value(package), hash, any_value(version), any_value(compiler),
            any_value(os), any_value(platform), any_value(target), any_value(variants), any_value(compilers),
            any_value(namespace),
            any_value(libc), any_value(libc_version), any_value(libc_path), any_value(libc_known),
            any_value(package_hash),
            list_sort(array_agg(stack)),
            bool_or(installable) {of_stacks}
        from spec_stacks
        where {" and ".join(where)}
        group by snapshot, hash
        {having}
        """,
        given,
    ).fetchall()
    return [_read_row(row) for row in rows]


def _read_row(row: tuple[Any, ...]) -> Held:
    snapshot, package, hash, version, compiler, os, platform, target = row[:8]
    variants, compilers, namespace, libc, libc_version, libc_path, libc_known, package_hash, held, installable = row[8:]
    needed = None if libc is None else Libc(libc.partition("@")[0], libc_version, libc_path)
    described = (tuple(variants), compilers, namespace, needed, libc_known)
    spec = Candidate(package, hash, version, compiler, os, platform, target, *described)
    stacks = tuple(stack for stack in held if stack != ROOT)
    return Held(snapshot, spec, stacks, ROOT in held, package_hash, installable)


def _narrow(
    connection: duckdb.DuckDBPyConnection,
    query: Query,
    host: Machine | None,
    where: list[str],
    given: dict[str, object],
) -> None:
    """Add to ``where`` what each column must be for a spec to match, by trying every value it has."""

    def keep(name: str, column: str, fits: Callable[[Any], bool]) -> None:
        held = connection.execute(f"select distinct {column} from spec_stacks").fetchall()
        where.append(f"list_contains(${name}, {column})")
        given[name] = [value for (value,) in held if fits(value)]

    def try_part(part: Query, **column: Any) -> bool:
        return not find_misses(part, Candidate(**{**_BLANK, **column}))

    if query.os is not None:
        keep("os", "os", lambda value: value == query.os)
    if query.versions is not None:
        keep("version", "version", lambda value: try_part(Query("", versions=query.versions), version=value))
    if query.compilers:
        key = "coalesce(cast(compilers as varchar), compiler)"
        found = connection.execute(
            f"select {key}, any_value(compiler), any_value(compilers) from spec_stacks group by all"
        ).fetchall()
        part = Query("", compilers=query.compilers)
        where.append(f"list_contains($compiler, {key})")
        given["compiler"] = [text for text, one, each in found if try_part(part, compiler=one, compilers=each)]
    if query.target is not None:
        keep("target", "target", lambda value: try_part(Query("", target=query.target), target=value))
    if host is not None and host.target is not None:
        machine = host.target
        keep("host", "target", lambda value: runs_on(value, machine))
    platform = query.platform or (host.platform if host else None)
    if platform is not None:
        keep("platform", "platform", lambda value: value == platform)
    asked = [variant for variant in query.variants if not variant.propagated]
    if asked:
        spellings = connection.execute("select distinct unnest(variants) from spec_stacks").fetchall()
        for number, variant in enumerate(asked):
            part = Query("", variants=(variant,))
            where.append(f"list_has_any(variants, $variant{number})")
            given[f"variant{number}"] = [text for (text,) in spellings if try_part(part, variants=(text,))]


_BLANK: Mapping[str, Any] = {
    "package": "",
    "hash": "",
    "version": "",
    "compiler": "",
    "os": "",
    "platform": "",
    "target": "",
    "variants": (),
}
