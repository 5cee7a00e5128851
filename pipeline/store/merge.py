"""What the files of a snapshot say of its specs, brought together: one description of each, and where it stands.

A hash names one spec of a snapshot. Of pages alone the first that gives a hash keeps it. Each index gives the
specs of one stack: a spec that stands in five stacks comes five times, and again from the root mirror. It is one
spec; each of its places keeps the stack and the source that gave it.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec
import polars as pl

from pipeline.schema import ROOT
from pipeline.store.frames import make_rows

IDENTITY = ("package", "version", "compiler", "os", "platform", "target")
"""Columns in which descriptions of one hash may not differ."""
OF_PLACE = {"source": pl.String, "size_bytes": pl.Int64, "tarball_url": pl.String, "installable": pl.Boolean}
"""What may differ between the places of a spec."""
NUMBER = "spec"
"""The column that numbers a spec of the snapshot, in the order of package and hash."""


class Merged(NamedTuple):
    """The specs of a snapshot, numbered by :data:`SPEC` in the order of package and hash.

    ``places`` has a row for each ``spec`` and ``stack`` that holds it, root included, with its ``source``,
    ``size_bytes`` and whether it is ``installable`` from there, NULL as long as that is not known, in that order.
    ``pages`` are as they were, with their counts set right, ``rejects`` with the new ones after the old.
    """

    specs: pl.DataFrame
    places: pl.DataFrame
    pages: pl.DataFrame
    rejects: pl.DataFrame


def merge_pages(specs: pl.DataFrame, pages: pl.DataFrame, rejects: pl.DataFrame, snapshot: str) -> Merged:
    """Bring the pages of a snapshot together: ``specs`` as spilled, ``pages`` in the order of their packages.

    A spec whose hash an earlier page gave becomes a reject.
    """
    specs = specs.sort("package", "hash")
    first = pl.col("hash").is_first_distinct()
    if specs["hash"].n_unique() < specs.height:
        owners = specs.filter(first).select("hash", owner="package", owner_source="source")
        lost = specs.filter(~first).join(owners, on="hash", how="left", maintain_order="left")
        rows = [
            {
                "path": spec["source"],
                "place": f"spec_details[hash={spec['hash']}]",
                "reason": (
                    f"the hash is already that of a spec of {spec.pop('owner')}, in the same snapshot: "
                    f"{spec.pop('owner_source')} keeps it"
                ),
                "raw": msgspec.json.encode(spec).decode(),
                "specs": 1,
                "snapshot": snapshot,
                "package": spec["package"],
            }
            for spec in lost.iter_rows(named=True)
        ]
        specs = specs.filter(first)
        rejects = append_rejects(rejects, rows)
        counts = lost.group_by("package").len("lost")
        counted = pages.join(counts, on="package", how="left", maintain_order="left")
        pages = counted.with_columns(
            specs=pl.col("specs") - pl.col("lost").fill_null(0), rejects=pl.col("rejects") + pl.col("lost").fill_null(0)
        ).drop("lost")
    specs = specs.with_row_index(NUMBER)
    places = specs.select(NUMBER, pl.col("stacks").alias("stack")).explode("stack")
    rises = (pl.col(NUMBER) != pl.col(NUMBER).shift()) | (pl.col("stack") > pl.col("stack").shift())
    if not places.select(rises.all()).item():
        # Pages up to v0.22.1 list stacks in no order.
        places = places.unique().sort(NUMBER, "stack")
    said = (specs[name].gather(places[NUMBER]) for name in ("source", "size_bytes"))
    places = places.with_columns(*said, installable=pl.lit(None, pl.Boolean))
    return Merged(specs.drop("stacks"), places, pages, rejects)


def merge_indexes(specs: pl.DataFrame, pages: pl.DataFrame, rejects: pl.DataFrame, snapshot: str) -> Merged:
    """Bring the indexes of a snapshot together, and pages if there are some beside them.

    Of several descriptions that of an index comes before that of a page, which has less, and among
    indexes the first by stack and source. Rows that contradict it in what makes a spec become rejects.
    """
    # An index says of every spec whether it is external; a page says it of none.
    specs = specs.with_columns(rank=pl.col("external").is_null(), first_stack=pl.col("stacks").list.min())
    specs = specs.sort("hash", "rank", "first_stack", "source").drop("first_stack")
    described = specs.filter(pl.col("hash").is_first_distinct())
    same = pl.all_horizontal(pl.col(name) == pl.col(name).first().over("hash") for name in IDENTITY)
    keeps = pl.col("source").first().over("hash")
    given = specs.select(*IDENTITY, "hash", "rank", "source", "stacks", "size_bytes", same=same, keeps=keeps)
    del specs  # Of a large snapshot each copy counts.
    stands = given.rename({"stacks": "stack"}).explode("stack")
    lost = stands.filter(~pl.col("same")).sort("hash", "rank", "stack", "source")
    described = described.sort("package", "hash").with_row_index(NUMBER)
    places = stands.filter("same").join(described.select(NUMBER, "hash"), on="hash")
    places = places.sort(NUMBER, "stack", "rank", "source").select(
        *(NUMBER, "stack", "source"),
        # Several sources of one stack may know a size, or one of them.
        pl.col("size_bytes").min().over(NUMBER, "stack"),
    )
    new = pl.struct(NUMBER, "stack").is_first_distinct()
    repeated, places = places.filter(~new), places.filter(new).with_columns(installable=pl.lit(None, pl.Boolean))
    rows = [
        {
            "path": row["source"],
            "place": f"hash {row['hash']}",
            "reason": f"the hash is already that of another spec in the same snapshot: {row['keeps']} keeps it",
            "raw": str({name: row[name] for name in IDENTITY}),
            "specs": 1,
            "snapshot": snapshot,
            "package": row["package"],
            "stack": row["stack"],
        }
        for row in lost.iter_rows(named=True)
    ]
    pages = count_merged(pages, places, repeated, lost)
    # As the table specs has it: of sources, the first by name, of sizes the smallest.
    said = places.group_by(NUMBER).agg(pl.col("source").min(), pl.col("size_bytes").min())
    described = described.drop("stacks", "rank", "source", "size_bytes").join(said, on=NUMBER, maintain_order="left")
    return Merged(described, places, pages, append_rejects(rejects, rows))


def append_rejects(rejects: pl.DataFrame, rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.concat([rejects, make_rows("rejects", rows, [0] * len(rows)).select(rejects.columns)])


def count_merged(pages: pl.DataFrame, places: pl.DataFrame, repeated: pl.DataFrame, lost: pl.DataFrame) -> pl.DataFrame:
    """``pages`` with their counts set right after a merge."""

    def count(rows: pl.DataFrame) -> Counter[tuple[str, str]]:
        return Counter({row[:2]: row[2] for row in rows.group_by("source", "stack").len().iter_rows()})

    kept, again, gone = count(places), count(repeated), count(lost)
    distinct = dict(places.group_by("source").agg(pl.col(NUMBER).n_unique()).iter_rows())
    specs, rejects, repeats = [], [], []
    for page in pages.select("path", "stack", "rejects", "repeated").iter_rows(named=True):
        key = page["path"], page["stack"]
        if page["stack"] is None:
            specs.append(distinct.get(page["path"], 0))
            rejects.append(page["rejects"] + sum(count for (path, _), count in gone.items() if path == page["path"]))
            repeats.append(page["repeated"])
        else:
            specs.append(kept[key])
            rejects.append(page["rejects"] + gone[key])
            repeats.append(page["repeated"] + again[key])
    counts = {"specs": specs, "rejects": rejects, "repeated": repeats}
    return pages.with_columns(pl.Series(name, values, pl.Int64) for name, values in counts.items())


def merge_dependencies(dependencies: pl.DataFrame, hashes: pl.Series) -> pl.DataFrame:
    """The dependencies of what is in ``hashes``, each once, sorted by hash, package and hash of the dependency."""
    key = ["hash", "dependency", "dependency_hash"]
    return (
        dependencies.filter(pl.col("hash").is_in(hashes.implode()))
        .unique(key, keep="first", maintain_order=True)
        .sort(key)
    )


def gather_places(merged: Merged) -> pl.DataFrame:
    """``specs`` with what the places of each say.

    ``stacks`` are the stacks in text order, without root; ``in_root`` says whether root holds it, and ``installable``
    whether it is from any of them. ``places`` lists :data:`OF_PLACE` for each of the stacks and then for root; it is
    NULL where all places say the same.
    """
    specs, places = merged.specs, merged.places
    is_root = places["stack"] == ROOT
    stacks = places.filter(~is_root).group_by(NUMBER, maintain_order=True).agg(stacks=pl.col("stack"))
    specs = specs.join(stacks, on=NUMBER, how="left", maintain_order="left").with_columns(
        pl.col("stacks").fill_null([]), in_root=pl.col(NUMBER).is_in(places.filter(is_root)[NUMBER].implode())
    )
    # No place says that it is not where one says that it is.
    installable = places.group_by(NUMBER).agg(pl.col("installable").max())
    specs = specs.join(installable, on=NUMBER, how="left", maintain_order="left")
    of_specs = ("source", "size_bytes", "installable")
    differs = (places[name].ne_missing(specs[name].gather(places[NUMBER])) for name in of_specs)
    if not any(one.any() for one in differs):
        return specs.with_columns(places=pl.lit(None, pl.List(pl.Struct(OF_PLACE))))
    said = places.join(specs.select(NUMBER, "tarball_url"), on=NUMBER, how="left")
    said = said.sort(NUMBER, pl.col("stack") == ROOT, "stack")
    listed = said.group_by(NUMBER, maintain_order=True).agg(places=pl.struct(*OF_PLACE))
    return specs.join(listed, on=NUMBER, how="left", maintain_order="left")
