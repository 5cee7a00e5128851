"""Which specs install without building, what is missing for the others, and what must be on the machine.

Where Spack is to build nothing (``--cache-only``) it takes all that a spec links and runs with from caches, and an
external as it is (``lib/spack/spack/installer.py``). So a spec of a stack is installable where each part of its
closure is in the same stack's cache, else in root's, else external. Of a spliced part Spack fetches the binary of
the spec that it was spliced from: that one must be in one of the two caches, and its own need not be.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from pipeline.schema import ROOT
from pipeline.specs.closure import Graph

NEAREST = 5
"""Missing dependencies that are listed of a spec in a stack: with all of them, holes times specs would be rows."""
MOST_EXTERNALS = 256
"""Externals of a snapshot of which it is counted what needs them, since of each spec that is a set."""

_EXTERNAL = {"name": "package", "version": "version", "path": "external_path", "modules": "external_modules"}


class Installs(NamedTuple):
    """What the closures of a snapshot's specs say.

    ``installable`` is a Boolean for each place, NULL where it is not known. ``missing`` has the rows of the table
    ``missing_dependencies``, and ``externals`` those of ``external_dependencies``, without the snapshot.
    """

    installable: pl.Series
    missing: pl.DataFrame
    externals: pl.DataFrame


def find_installs(graph: Graph, places: pl.DataFrame, dependencies: pl.DataFrame, whole: bool) -> Installs:
    """Judge each place of a spec: a row of ``places`` with ``hash``, ``stack``, and whether an index gives it
    (``of_index``), for a page does not say what a spec needs.

    ``dependencies`` name what no index describes. ``whole`` says whether all records of the indexes are at hand; if
    not, what none describes is not known to be missing.
    """
    numbers = pl.DataFrame({"hash": graph.hashes}).with_row_index("node")
    held = places.select("hash", "stack").join(numbers, on="hash").select("stack", "node")
    placed = places.join(numbers[: graph.binaries], on="hash", how="left", maintain_order="left")
    of_index = placed.filter("of_index").select("stack", "node")
    missing = find_missing(graph, held, of_index, dependencies, whole)
    fails = missing.select("stack", "hash", fails=True).unique()
    silent = graph.find_dependents(_list_silent(graph, held, whole))
    installable = placed.join(fails, on=["stack", "hash"], how="left", maintain_order="left").select(
        pl.when(~pl.col("of_index"))
        .then(None)
        .when("fails")
        .then(False)
        .when(pl.Series(silent, dtype=pl.Boolean).gather(placed["node"]))
        .then(None)
        .otherwise(True)
        .alias("installable")
    )
    return Installs(installable.to_series(), missing, find_externals(graph, of_index))


def _list_silent(graph: Graph, held: pl.DataFrame, whole: bool) -> list[int]:
    """The nodes that are not missing, and of which it is not known what they need."""
    undescribed = range(graph.nodes.height, graph.binaries)
    if not whole:
        return list(undescribed)
    return [node for node in held["node"].unique() if node in undescribed]


# What is missing


def find_missing(
    graph: Graph, held: pl.DataFrame, of_index: pl.DataFrame, dependencies: pl.DataFrame, whole: bool
) -> pl.DataFrame:
    """The nearest missing dependencies of the specs ``of_index``: at most :data:`NEAREST` rows for a spec of a stack.

    ``held`` has each ``node`` that a ``stack`` holds.
    """
    broken = list(_list_broken(graph, held, whole))
    ranks, names = _rank_nodes(graph, dependencies if broken else dependencies.clear())
    frames = [pl.DataFrame(schema={"stack": pl.String, "spec": pl.UInt32, "missing": pl.UInt32, "depth": pl.Int64})]
    # As many lists as nodes would set off the collector again and again; none is a cycle.
    gc.disable()
    try:
        for stack, is_held in broken:
            specs = of_index.filter(pl.col("stack") == stack)["node"].to_list()
            rows = _walk_up(graph, specs, is_held.to_list(), ranks).sort("spec", "depth", "missing")
            frames.append(rows.select(pl.lit(stack).alias("stack"), pl.all()))
    finally:
        gc.enable()
    found = pl.concat(frames)
    of_specs, of_missing = names[found["spec"]], names[found["missing"]]
    return found.select(
        "stack",
        of_specs["hash"],
        of_specs["package"],
        missing_package=of_missing["package"],
        missing_hash=of_missing["hash"],
        reason=pl.when(of_missing["described"]).then(pl.lit("hole")).otherwise(pl.lit("unknown")),
        depth="depth",
    )


def _list_broken(graph: Graph, held: pl.DataFrame, whole: bool) -> Iterator[tuple[str, pl.Series]]:
    """Each stack in which something that is there needs what is not, and of each node whether it is there.

    Of most stacks that is none, and their closures need no walk.
    """
    numbers = pl.int_range(graph.size, dtype=pl.UInt32, eager=True)
    everywhere = numbers.is_in(held.filter(pl.col("stack") == ROOT)["node"].implode())
    # Spack fetches no binary of an external, nor of a spliced spec, which needs that of its build spec.
    needs_no_binary = graph.nodes.select(pl.col("external") | pl.col("spliced_from").is_not_null()).to_series()
    everywhere |= numbers.is_in(needs_no_binary.arg_true().implode())
    if not whole:
        everywhere |= numbers.is_between(graph.nodes.height, graph.binaries, closed="left")
    for (stack,), members in sorted(held.partition_by("stack", as_dict=True).items()):
        is_held = everywhere | numbers.is_in(members["node"].implode())
        if (is_held.gather(graph.edges["node"]) & ~is_held.gather(graph.edges["needed"])).any():
            yield stack, is_held


def _rank_nodes(graph: Graph, dependencies: pl.DataFrame) -> tuple[list[int], pl.DataFrame]:
    """Each node's rank by package and hash, and of each rank these two, and whether an index describes it.

    ``dependencies`` name what is not described. A binary that a spec is spliced from has the rank of its spec.
    """
    described = graph.nodes.select("hash", "package", described=True)
    named = dependencies.join(described, left_on="dependency_hash", right_on="hash", how="anti")
    named = named.group_by(hash="dependency_hash").agg(package=pl.col("dependency").min(), described=False)
    spliced = graph.edges.filter(pl.col("needed") >= graph.binaries)
    spliced = spliced.join(graph.nodes.select("package").with_row_index("node"), on="node")
    # A spec has the name of the one that it was spliced from.
    spliced = spliced.group_by(node="needed").agg(of_spliced=pl.col("package").min())
    nodes = (
        pl.DataFrame({"hash": graph.hashes})
        .with_row_index("node")
        .join(pl.concat([described, named]), on="hash", how="left", maintain_order="left")
        .join(spliced, on="node", how="left", maintain_order="left")
        .select(
            "node",
            "hash",
            package=pl.coalesce("package", "of_spliced", pl.lit("")),
            described=pl.col("described").fill_null(False),
        )
        .sort("package", "hash")
    )
    is_first = pl.col("hash").ne_missing(pl.col("hash").shift())
    ranks = nodes.select("node", rank=is_first.cum_sum() - 1).sort("node")["rank"]
    return ranks.to_list(), nodes.filter(is_first)


def _walk_up(graph: Graph, specs: Sequence[int], is_held: Sequence[bool], ranks: Sequence[int]) -> pl.DataFrame:
    """The missing nodes that are nearest to each of ``specs``, of equals the first by rank: a row for each.

    A wave goes up from all missing ones at once. A node passes on what reaches it, at most :data:`NEAREST` of them:
    the nearest of what needs it are among these.
    """
    in_closure = graph.find_closure(specs)
    takes_more = bytearray(in_closure)
    is_asked = bytearray(graph.size)
    for node in specs:
        is_asked[node] = True
    found: list[int] = []
    missing: list[int] = []
    depths: list[int] = []
    nearest: list[Sequence[int]] = [()] * graph.size
    wave = {node: [ranks[node]] for node in range(graph.size) if in_closure[node] and not is_held[node]}
    depth = 0
    while wave:
        above: dict[int, list[int]] = {}
        for node, reached in wave.items():
            before = nearest[node]
            if before or len(reached) > 1:
                reached = sorted(set(reached).difference(before))[: NEAREST - len(before)]
                if not reached:
                    continue
            nearest[node] = [*before, *reached] if before else reached
            takes_more[node] = len(before) + len(reached) < NEAREST
            if is_asked[node]:
                found += [ranks[node]] * len(reached)
                missing += reached
                depths += [depth] * len(reached)
            for needing in graph.list_needing(node):
                if takes_more[needing]:
                    above.setdefault(needing, []).extend(reached)
        wave = above
        depth += 1
    schema = {"spec": pl.UInt32, "missing": pl.UInt32, "depth": pl.Int64}
    return pl.DataFrame({"spec": found, "missing": missing, "depth": depths}, schema=schema)


# What must be on the machine


def find_externals(graph: Graph, of_index: pl.DataFrame) -> pl.DataFrame:
    """The externals that the specs ``of_index`` need: rows of the table ``external_dependencies``.

    Beyond :data:`MOST_EXTERNALS`, those that the fewest name themselves, the specs are not counted.
    """
    named = graph.edges.group_by("needed").len("naming").rename({"needed": "node"})
    nodes = graph.nodes.select("external", **_EXTERNAL).with_row_index("node").filter("external")
    nodes = nodes.join(named, on="node", how="left").with_columns(pl.col("naming").fill_null(0))
    externals = (
        nodes.group_by(*_EXTERNAL)
        .agg("node", pl.col("naming").sum())
        .sort(pl.col("naming"), *_EXTERNAL, descending=[True, *[False] * len(_EXTERNAL)])
        .with_row_index("external")
    )
    needs = gather_needs(graph, externals["node"].head(MOST_EXTERNALS).to_list())
    # Many specs need the same.
    sets = {need: number for number, need in enumerate(dict.fromkeys(needs))}
    pairs = [(number, at) for need, number in sets.items() for at in range(need.bit_length()) if need >> at & 1]
    members = pl.DataFrame(pairs, schema={"set": pl.UInt32, "external": pl.UInt32}, orient="row")
    specs = of_index.with_columns(
        set=pl.Series([sets[need] for need in needs], dtype=pl.UInt32).gather(of_index["node"])
    )
    counts = specs.unique("node").group_by("set").len("specs").join(members, on="set")
    counts = counts.group_by("external").agg(pl.col("specs").sum().cast(pl.Int64))
    stacks = specs.filter(pl.col("stack") != ROOT).select("set", "stack").unique().join(members, on="set")
    stacks = stacks.group_by("external").agg(stacks=pl.col("stack").unique().sort())
    is_counted = pl.col("external") < MOST_EXTERNALS
    return (
        externals.join(counts, on="external", how="left")
        .join(stacks, on="external", how="left")
        .filter(~is_counted & (pl.col("naming") > 0) | pl.col("specs").is_not_null())
        .with_columns(pl.when(is_counted).then(pl.col("stacks").fill_null([])))
        .select(*_EXTERNAL, "specs", "stacks")
        .sort(*_EXTERNAL)
    )


def gather_needs(graph: Graph, externals: Sequence[Sequence[int]]) -> list[int]:
    """Of each node which of ``externals``, each several nodes, its closure has: a bit for each."""
    needs = [0] * graph.size
    for at, nodes in enumerate(externals):
        for node in nodes:
            needs[node] = 1 << at
    # Each after all that it needs, as far as nothing needs itself.
    left = [0] * graph.size
    for node, count in graph.edges.group_by("node").len().iter_rows():
        left[node] = count
    waiting = [node for node, count in enumerate(left) if not count]
    while waiting:
        node = waiting.pop()
        for needing in graph.list_needing(node):
            needs[needing] |= needs[node]
            left[needing] -= 1
            if not left[needing]:
                waiting.append(needing)
    # No spec that Spack wrote needs itself; here are those of broken indexes, until nothing changes any more.
    waiting = [node for node, count in enumerate(left) if count]
    while waiting:
        node = waiting.pop()
        for needing in graph.list_needing(node):
            if needs[node] & ~needs[needing]:
                needs[needing] |= needs[node]
                waiting.append(needing)
    return needs
