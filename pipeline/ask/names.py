"""What may have been meant by the names in a spec that no snapshot has: a compiler, target, variant and so on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property

import duckdb

from pipeline.ask.machine import Machine
from pipeline.errors import add_near, describe_missing
from pipeline.spack.compilers import RENAMED, compiler_family
from pipeline.spack.hosts import is_known
from pipeline.spack.spec import PLACES, Query
from pipeline.spack.systems import LIBCS, MACOS_RELEASES
from pipeline.spack.variants import BOOLEANS, Variant, read_variants


class Names:
    """The names that the specs of a warehouse have, of all snapshots; each kind is asked for once, when needed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._variants: dict[str | None, Mapping[str, Collection[str]]] = {}

    def describe_unknown(self, query: Query, host: Machine | None = None) -> Iterator[str]:
        """A line for each name that a query, or ``host``, asks for and no spec has, and what may have been meant.

        Of a package that is not there no variants are known, and nothing is said of them.
        """
        if query.package not in (None, *self.packages):
            # There are too many to list them where none is like it.
            name = str(query.package)
            yield add_near(f"no package {name!r} in the warehouse", name, self.packages, 5)
        else:
            yield from self._describe_variants(query)
        for kind in ("namespace", "platform", "os"):
            name = getattr(query, kind)
            if name is not None and self.columns[kind] and name not in self.columns[kind]:
                yield describe_missing(kind, name, self.columns[kind])
        yield from self._describe_compilers(query)
        yield from self._describe_targets(query, host)
        if host is not None:
            yield from self._describe_host(host)

    @cached_property
    def packages(self) -> list[str]:
        """The packages of all snapshots, in text order."""
        rows = self._connection.execute("select distinct package from specs order by package").fetchall()
        return [package for (package,) in rows]

    @cached_property
    def columns(self) -> Mapping[str, list[str]]:
        """By column the names that stand in it, without the versions of compilers and libcs."""
        rows = self._connection.execute(
            """
            select 'namespace' as kind, namespace as name from specs
            union
            select 'platform', platform from specs
            union
            select 'os', os from specs
            union
            select 'target', target from specs
            union
            select 'compiler', split_part(compiler, '@', 1) from specs
            union
            select 'compiler', split_part(unnest(map_values(compilers)), '@', 1) from specs
            union
            select 'libc', split_part(libc, '@', 1) from specs
            order by kind, name
            """
        ).fetchall()
        columns: dict[str, list[str]] = defaultdict(list)
        for kind, name in rows:
            if name is not None:
                columns[kind].append(name)
        return columns

    def list_variants(self, package: str | None) -> Mapping[str, Collection[str]]:
        """The variants of a package, or of all, with the values that each has somewhere."""
        if package not in self._variants:
            found: dict[str, set[str]] = defaultdict(set)
            rows = self._connection.execute(
                "select distinct unnest(variants) from specs where coalesce(package = ?, true)", [package]
            ).fetchall()
            for (text,) in rows:
                for variant in read_variants([text]).values():
                    found[variant.name] |= variant.values
            self._variants[package] = found
        return self._variants[package]

    def _describe_variants(self, query: Query) -> Iterator[str]:
        of = query.package or ""
        # One that is propagated may be meant for dependencies.
        for asked in (variant for variant in query.variants if not variant.propagated):
            held = self.list_variants(query.package)
            if asked.name not in held:
                yield describe_missing("variant", asked.name, sorted(held), list(PLACES), of)
            elif asked.name != "patches":
                yield from _describe_values(asked, held[asked.name], " of ".join(filter(None, (asked.name, of))))

    def _describe_compilers(self, query: Query) -> Iterator[str]:
        for asked in query.compilers:
            families = {compiler_family(name) for name in self.columns["compiler"]}
            if asked.family not in families:
                other_names = [name for name, family in RENAMED.items() if family in families]
                yield describe_missing("compiler", asked.family, self.columns["compiler"], other_names)

    def _describe_targets(self, query: Query, host: Machine | None) -> Iterator[str]:
        for target in (query.target or "").split(","):
            if not target or ":" in target or target in self.columns["target"]:
                continue
            if not is_known(target):
                yield describe_missing("target", target, self.columns["target"])
            elif host is None:
                yield f"no target {target!r} in the warehouse; --host {target} takes all that one can run"

    def _describe_host(self, host: Machine) -> Iterator[str]:
        if host.os is not None and host.os not in (*MACOS_RELEASES, *self.columns["os"]):
            yield describe_missing("os", host.os, self.columns["os"])
        if host.libc is not None and host.libc.name not in (*LIBCS, *self.columns["libc"]):
            yield describe_missing("libc", host.libc.name, sorted({*LIBCS, *self.columns["libc"]}))


def _describe_values(asked: Variant, held: Collection[str], of: str) -> Iterator[str]:
    for value in sorted(asked.values.difference(held)):
        if value not in BOOLEANS or not BOOLEANS.issuperset(held):
            yield describe_missing("value", value, sorted(held), of=of)
