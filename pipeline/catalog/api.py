"""``api/v1/``: what the warehouse says as static JSON, for programs that have no DuckDB.

::

    snapshots.json  stacks.json  packages.json    lists, with the path of each stack's and package's own file
    latest.json                                   the newest weekly snapshot, or the newest of all: its summaries
    package/NAME.json  stack/NAME.json            one of them in every snapshot
    schemas/KIND.json                             the JSON Schema of each kind

Keys and their order are those of the schemas, rows have an order of their own, and the same warehouse gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb
import msgspec

from pipeline.catalog.describe import encode
from pipeline.catalog.folder import Publication
from pipeline.report.folder import API, short_name
from pipeline.schema import AXES
from pipeline.store.sqlfiles import describe_views

VERSION = 1
SNAPSHOTS = """
select snapshot, kind, date, packages, specs from snapshots order by sort_position, snapshot
"""
OF_STACKS = """
select
    one.stack, one.snapshot, one.packages, one.packages_total, one.coverage, one.specs, one.size_bytes, one.sized_specs,
    one.installable, one.installable_known
from summary_by_stack as one
inner join snapshots on one.snapshot = snapshots.snapshot
order by one.stack, snapshots.sort_position, one.snapshot
"""
OF_PACKAGES = """
with held as (
    {axes}
)
select
    held.package, held.snapshot, held.axis, held.value, held.num_specs as specs, held.versions, held.latest_version
from held
inner join snapshots on held.snapshot = snapshots.snapshot
order by held.package, snapshots.sort_position, held.snapshot, held.axis, held.value
"""
SUMMARY = "select * exclude (snapshot) from summary_by_{axis} where snapshot = $snapshot order by {axis}"
Row = dict[str, Any]


def write_api(connection: duckdb.DuckDBPyConnection, publication: Publication) -> None:
    """Publish the files of the API."""
    top = f"{API}/v{VERSION}"
    for path, document in list_documents(connection):
        publication.add(f"{top}/{path}", msgspec.json.encode(document) + b"\n")
    for kind, schema in list_schemas().items():
        publication.add(f"{top}/schemas/{kind}.json", encode(schema))


def list_documents(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, Row]]:
    """Every file with its content, by its path."""
    snapshots = list(stream_rows(connection, SNAPSHOTS))
    yield "snapshots.json", {"snapshots": snapshots}
    stacks, packages = [], []
    for stack, rows in groupby(stream_rows(connection, OF_STACKS), itemgetter("stack")):
        path = f"stack/{short_name(stack)}.json"
        held = [_without(row, "stack") for row in rows]
        stacks.append({"stack": stack, "path": path, "newest": held[-1]["snapshot"], "snapshots": len(held)})
        yield path, {"stack": stack, "snapshots": held}
    yield "stacks.json", {"stacks": stacks}
    axes = "\n    union all\n    ".join(
        f"select package, snapshot, '{axis}' as axis, {axis} as value, num_specs, versions, latest_version "
        f"from coverage_by_{axis}"
        for axis in AXES
    )
    for package, rows in groupby(stream_rows(connection, OF_PACKAGES.format(axes=axes)), itemgetter("package")):
        path = f"package/{short_name(package)}.json"
        held = [
            {"snapshot": snapshot, **gather_axes(list(parts))}
            for snapshot, parts in groupby(rows, itemgetter("snapshot"))
        ]
        packages.append({"package": package, "path": path, "newest": held[-1]["snapshot"], "snapshots": len(held)})
        yield path, {"package": package, "snapshots": held}
    yield "packages.json", {"packages": packages}
    yield "latest.json", describe_latest(connection, snapshots)


def gather_axes(rows: Sequence[Row]) -> Row:
    """What a package has in a snapshot, by each axis."""
    kept = ("specs", "versions", "latest_version")
    return {
        f"by_{axis}": [{axis: row["value"], **{key: row[key] for key in kept}} for row in rows if row["axis"] == axis]
        for axis in AXES
    }


def describe_latest(connection: duckdb.DuckDBPyConnection, snapshots: Sequence[Row]) -> Row:
    """The newest weekly snapshot, or the last of all where there is none, with its summaries."""
    weekly = [one for one in snapshots if one["kind"] == "weekly"]
    latest = (weekly or list(snapshots))[-1]
    summaries = {
        f"by_{axis}": list(stream_rows(connection, SUMMARY.format(axis=axis), {"snapshot": latest["snapshot"]}))
        for axis in AXES
    }
    return {**latest, **summaries}


def stream_rows(connection: duckdb.DuckDBPyConnection, query: str, parameters: object = None) -> Iterator[Row]:
    """The rows of a query as mappings; of many only some are held at a time."""
    cursor = connection.cursor().execute(query, parameters)
    names = [one[0] for one in cursor.description]
    while rows := cursor.fetchmany(10_000):
        for row in rows:
            yield dict(zip(names, row, strict=True))


def _without(row: Row, key: str) -> Row:
    return {name: value for name, value in row.items() if name != key}


def list_schemas() -> Mapping[str, Row]:
    """The JSON Schema of each kind of file, by its name."""
    text, count = {"type": "string"}, {"type": "integer", "minimum": 0}
    date = {"type": ["string", "null"], "format": "date"}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    snapshot = {"snapshot": text, "kind": text, "date": date, "packages": count, "specs": count}
    summary = {
        "packages": count,
        "packages_total": count,
        "coverage": share,
        "specs": count,
        "size_bytes": {"type": ["integer", "null"], "minimum": 0},
        "sized_specs": count,
        "installable": {"type": ["integer", "null"], "minimum": 0},
        "installable_known": count,
    }
    listed = {"path": text, "newest": text, "snapshots": count}
    coverage = {"specs": count, "versions": {"type": "array", "items": text}, "latest_version": text}
    kinds: dict[str, Row] = {
        "snapshots": {"snapshots": _rows(snapshot)},
        "stacks": {"stacks": _rows({"stack": text, **listed})},
        "packages": {"packages": _rows({"package": text, **listed})},
        "stack": {"stack": text, "snapshots": _rows({"snapshot": text, **summary})},
        "package": {
            "package": text,
            "snapshots": _rows({"snapshot": text, **{f"by_{axis}": _rows({axis: text, **coverage}) for axis in AXES}}),
        },
        "latest": {**snapshot, **{f"by_{axis}": _rows({axis: text, **summary}) for axis in AXES}},
    }
    return {
        kind: {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind, **_object(keys)}
        for kind, keys in kinds.items()
    }


def _rows(keys: Row) -> Row:
    return {"type": "array", "items": _object(keys)}


def _object(keys: Row) -> Row:
    """An object with just these keys, whose descriptions are those of the views' columns."""
    described = _descriptions()
    properties = {
        name: {**kind, "description": described[name]} if name in described else kind for name, kind in keys.items()
    }
    return {"type": "object", "properties": properties, "required": list(keys), "additionalProperties": False}


def _descriptions() -> Mapping[str, str]:
    """What keys hold, where they are columns of the views that they come from."""
    views = {one.name: one for one in describe_views()}
    columns = [*views["coverage_by_stack"].columns, *views["snapshots"].columns, *views["summary_by_stack"].columns]
    return {column.name: column.description for column in columns if column.name not in ("snapshots", "newest")}
