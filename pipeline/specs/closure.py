"""What a spec's closure says: all that it links and runs with, and that of those in turn.

A hash stands for the whole graph below it. So one graph serves every stack of a snapshot, and what one index leaves
out another may hold. It is walked from what is looked for towards what needs it: a node is looked at twice at most,
whatever the shape of the graph, cycles and all. Which closures are whole is :mod:`pipeline.specs.installable`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import polars as pl

from pipeline.spack.systems import uses_libc
from pipeline.spack.versions import version_key

LIBC_COLUMNS = ("libc", "libc_version", "libc_path", "libc_known")

_NODE = (
    *("hash", "package", "version", "compiler", "platform", "external", "external_path", "external_modules"),
    "spliced_from",
)
_SEVERAL = -1


class Graph:
    """All specs, externals and holes of a snapshot's indexes, and which of them link or run with which.

    ``specs``, ``records`` and ``dependencies`` are frames of the kinds of :mod:`pipeline.store.frames`, the
    dependencies being those of all three. ``nodes`` has each hash that is described once, and a node is known by its
    row. What is needed and not described has a number after those. A spliced spec needs the binary of the spec that
    it was spliced from, in place of its own, but nothing that this one needs: such a binary is a node of its own, from
    ``binaries`` on. ``hashes`` are those of all nodes, and ``edges`` say which ``needed`` a ``node`` needs itself.
    """

    def __init__(self, specs: pl.DataFrame, records: pl.DataFrame, dependencies: pl.DataFrame) -> None:
        # A page says nothing of what its specs need.
        held = specs.filter(pl.col("external").is_not_null())
        described = held.with_columns(
            external_path=pl.lit(None, pl.String), external_modules=pl.lit([], pl.List(pl.String))
        )
        others = records.sort("kind", "stack", "source").with_columns(external=pl.col("kind") == "external")
        self.nodes = pl.concat([others.select(_NODE), described.select(_NODE)]).unique(
            "hash", keep="first", maintain_order=True
        )
        is_libc = pl.col("virtuals").list.contains("libc")
        is_needed = pl.col("deptypes").list.contains("link") | pl.col("deptypes").list.contains("run") | is_libc
        edges = dependencies.filter(is_needed).select("hash", "dependency_hash", is_libc=is_libc).unique()
        hashes = pl.concat([self.nodes["hash"], edges["hash"], edges["dependency_hash"]]).unique(maintain_order=True)
        splices = self.nodes.filter(~pl.col("external")).select("hash", dependency_hash="spliced_from").drop_nulls()
        splices = splices.with_columns(is_libc=pl.lit(False))
        binaries = splices["dependency_hash"].unique(maintain_order=True)
        self.binaries = hashes.len()
        self.hashes = pl.concat([hashes, binaries])
        nodes = pl.DataFrame({"hash": self.hashes}).with_row_index("node")
        needed = nodes.select(needed="node", dependency_hash="hash")
        edges = (
            pl.concat(
                [
                    edges.join(needed[: self.binaries], on="dependency_hash"),
                    splices.join(needed[self.binaries :], on="dependency_hash"),
                ]
            )
            .join(nodes[: self.binaries], on="hash")
            .group_by("needed", "node")
            .agg(pl.col("is_libc").any())
            .sort("needed", "node")
        )
        self.edges = edges.select("needed", "node")
        self._libcs = edges.filter("is_libc").select("needed", "node")
        self._needing = edges["node"].to_list()
        self._starts = self._find_starts(edges["needed"])

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return self.hashes.len()

    def _find_starts(self, numbers: pl.Series) -> list[int]:
        """Where the rows of each node begin among sorted ``numbers``, and at last their number."""
        starts = numbers.search_sorted(pl.int_range(self.size + 1, dtype=pl.UInt32, eager=True))
        listed: list[int] = starts.to_list()
        return listed

    def list_needing(self, node: int) -> list[int]:
        """The nodes that need a node themselves."""
        return self._needing[self._starts[node] : self._starts[node + 1]]

    @cached_property
    def _downwards(self) -> tuple[list[int], list[int]]:
        edges = self.edges.sort("node", "needed")
        return edges["needed"].to_list(), self._find_starts(edges["node"])

    def list_needed(self, node: int) -> list[int]:
        """The nodes that a node needs itself."""
        needed, starts = self._downwards
        return needed[starts[node] : starts[node + 1]]

    def find_closure(self, nodes: Iterable[int]) -> list[bool]:
        """Of each node, whether it is one of ``nodes`` or in the closure of one."""
        return self._reach(nodes, self.list_needed)

    def find_dependents(self, nodes: Iterable[int]) -> list[bool]:
        """Of each node, whether one of ``nodes`` is it or in its closure."""
        return self._reach(nodes, self.list_needing)

    def _reach(self, nodes: Iterable[int], list_next: Callable[[int], list[int]]) -> list[bool]:
        found = [False] * self.size
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if not found[node]:
                found[node] = True
                waiting += list_next(node)
        return found

    def find_libcs(self) -> pl.DataFrame:
        """The libc that the closure of each node needs: a frame of ``hash`` and :data:`LIBC_COLUMNS`.

        Where a closure needs several versions of one libc, it is the newest, for a host must be no older than any
        of them. Where it needs libcs of other names or paths, which no host has at once, none can be named: that
        counts as not known. So does a closure without a libc of which a part is not described, or in which a
        compiled spec names none on a platform that has one, as all did before Spack 0.22.
        """
        libcs, found = self._choose_libcs()
        silent = self.find_dependents(self._list_silent())
        rows: list[tuple[object, ...]] = []
        for number, hash in enumerate(self.nodes["hash"]):
            at = found[number]
            if at is None:
                rows.append((hash, None, None, None, not silent[number]))
            elif at == _SEVERAL:
                rows.append((hash, None, None, None, False))
            else:
                name, version, path = libcs[at]
                rows.append((hash, f"{name}@{version}", version, path, True))
        types = [pl.String, pl.String, pl.String, pl.String, pl.Boolean]
        return pl.DataFrame(rows, schema=dict(zip(("hash", *LIBC_COLUMNS), types, strict=True)), orient="row")

    def _choose_libcs(self) -> tuple[list[tuple[str, str, str | None]], list[int | None]]:
        """Every libc as (name, version, path), and of each node the place of its own among them, if it needs one."""
        libcs: list[tuple[str, str, str | None]] = []
        found: list[int | None] = [None] * self.size
        for libc, needing in self._list_libcs():
            at = len(libcs)
            libcs.append(libc)
            waiting = needing
            while waiting:
                node = waiting.pop()
                before = found[node]
                if before is None:
                    found[node] = at
                elif before == _SEVERAL or libcs[before][::2] == libc[::2]:
                    continue
                else:
                    found[node] = _SEVERAL
                waiting += self.list_needing(node)
        return libcs, found

    def _list_libcs(self) -> Iterator[tuple[tuple[str, str, str | None], list[int]]]:
        """Each libc that is described, those of one name and path together, the newest first; and what names it."""
        described = self.nodes.select("package", "version", "external_path").with_row_index("needed")
        named = self._libcs.join(described, on="needed").group_by("package", "version", "external_path").agg("node")
        rows = sorted(named.iter_rows(), key=lambda row: version_key(row[1]), reverse=True)
        rows.sort(key=lambda row: (row[0], row[2] or ""))
        for name, version, path, needing in rows:
            yield (name, version, path), needing

    def _list_silent(self) -> Iterator[int]:
        """The nodes that do not say what they need."""
        yield from range(self.nodes.height, self.binaries)
        platforms = [name for name in self.nodes["platform"].unique() if uses_libc(name)]
        is_compiled = ~pl.col("external") & (pl.col("compiler") != "none") & pl.col("platform").is_in(platforms)
        names_none = ~pl.col("node").is_in(self._libcs["node"].implode())
        yield from self.nodes.with_row_index("node").filter(is_compiled & names_none)["node"]


def add_libcs(specs: pl.DataFrame, graph: Graph) -> pl.DataFrame:
    """``specs`` with the :data:`LIBC_COLUMNS` that their closures give; of a spec that is no node nothing is known."""
    return (
        specs.drop(LIBC_COLUMNS)
        .join(graph.find_libcs(), on="hash", how="left", maintain_order="left")
        .with_columns(pl.col("libc_known").fill_null(False))
    )
