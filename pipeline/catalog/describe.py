"""What the published tables say of themselves: Frictionless' ``datapackage.json``, Croissant, and SQL that makes them.

Each names every file with its bytes and SHA-256, and every column with its type, unit and description. Frictionless:
https://specs.frictionlessdata.io; Croissant 1.0: https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pipeline.catalog.folder import PublishedFile
from pipeline.catalog.promise import Promise, keep_promise
from pipeline.catalog.tables import TableFiles, address_of
from pipeline.report.folder import DATA
from pipeline.schema import Column, Relation
from pipeline.store.database import quote_name, quote_text

PARQUET = "application/vnd.apache.parquet"
TITLE = "Spack Warehouse"
DESCRIPTION = "What is in Spack's binary build caches, for which stack, compiler and target."
FIELD_TYPES = {
    "VARCHAR": "string",
    "BIGINT": "integer",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "VARCHAR[]": "array",
    "MAP(VARCHAR, VARCHAR)": "object",
    "MAP(VARCHAR, BIGINT)": "object",
}
"""Frictionless' name of each of DuckDB's types."""
CROISSANT_TYPES = {"VARCHAR": "sc:Text", "BIGINT": "sc:Integer", "BOOLEAN": "sc:Boolean", "DATE": "sc:Date"}
"""Croissant's name of the types that have one; lists have that of their values, and maps are texts to it."""
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that Croissant 1.0 asks for, word for word."""


@dataclass(frozen=True)
class Origin:
    """Where the data come from: the ``sources`` as users named them, their ``licence`` and the day they were read."""

    sources: Sequence[str]
    licence: str | None = None
    read_on: dt.date | None = None
    base_url: str | None = None

    def describe_licence(self) -> str:
        """The licence in a sentence."""
        if self.licence is None:
            return "The sources of the data state no licence."
        return f"The licence of the data, as their source states it: {self.licence}."


def encode(value: object) -> bytes:
    """JSON that people can read, too."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def unit_of(column: Column) -> str | None:
    """The unit of a column, where it has one."""
    if column.name.endswith("bytes"):
        return "byte"
    return "1" if column.type == "BIGINT" else None


def describe_fields(table: Relation) -> dict[str, Any]:
    """A table as Frictionless' Table Schema, with DuckDB's types beside its own."""
    fields = []
    for column in table.columns:
        field: dict[str, Any] = {
            "name": column.name,
            "type": FIELD_TYPES[column.type],
            "description": column.description,
            "duckdb_type": column.type,
        }
        if unit := unit_of(column):
            field["unit"] = unit
        if not column.nullable:
            field["constraints"] = {"required": True}
        fields.append(field)
    return {"fields": fields}


def schema_path(promise: Promise, table: str) -> str:
    """Where a table's schema is, relative to the folder of the data."""
    return f"schemas/v{promise.version}/{table}.json"


def list_schemas(promise: Promise) -> Iterator[tuple[str, bytes]]:
    """The schemas that ``datapackage.json`` leads to, and the SQL that makes the tables, by path."""
    tables = [keep_promise(promise, name) for name in promise.tables]
    for table in tables:
        yield f"{DATA}/{schema_path(promise, table.name)}", encode(describe_fields(table))
    yield f"{DATA}/schemas/v{promise.version}/tables.sql", "\n".join(map(create_sql, tables)).encode()


def create_sql(table: Relation) -> str:
    """The SQL that makes an empty table, with its comments."""
    columns = ",\n".join(
        f"    {quote_name(one.name)} {one.type}{'' if one.nullable else ' not null'}" for one in table.columns
    )
    comments = [f"comment on table {table.name} is {quote_text(table.description)};"]
    comments += [
        f"comment on column {table.name}.{quote_name(one.name)} is {quote_text(one.description)};"
        for one in table.columns
    ]
    return "\n".join([f"create table {table.name} (\n{columns}\n);", *comments, ""])


def make_datapackage(
    promise: Promise, files: TableFiles, published: Mapping[str, PublishedFile], origin: Origin
) -> bytes:
    """``datapackage.json``: a resource for each Parquet file, whose schema is a file beside it."""
    resources = []
    for name, parts in files.items():
        table = keep_promise(promise, name)
        for part in parts:
            one = published[part.path]
            resource: dict[str, Any] = {
                "name": f"{name}.{one.sha256[:16]}",
                "title": f"{name} of {part.snapshot}" if part.snapshot else name,
                "description": table.description,
                "path": part.path.removeprefix(f"{DATA}/"),
                "format": "parquet",
                "mediatype": PARQUET,
                "bytes": one.bytes,
                "hash": f"sha256:{one.sha256}",
                "rows": part.rows,
                "table": name,
                "schema": schema_path(promise, name),
            }
            if part.snapshot is not None:
                resource["snapshot"] = part.snapshot
            resources.append(resource)
    package: dict[str, Any] = {
        "name": "spack-warehouse",
        "title": TITLE,
        "description": f"{DESCRIPTION} {origin.describe_licence()}",
        "version": str(promise.version),
        "sources": [{"title": source} for source in origin.sources],
        "resources": resources,
    }
    if origin.licence is not None:
        package["licenses"] = [{"title": origin.licence, **name_licence(origin.licence)}]
    if origin.read_on is not None:
        package["created"] = f"{origin.read_on}T00:00:00Z"
    if origin.base_url is not None:
        package["homepage"] = origin.base_url
    return encode(package)


def name_licence(licence: str) -> dict[str, str]:
    """The key that Frictionless has for a licence: its address or its name."""
    return {"path": licence} if licence.startswith(("https://", "http://")) else {"name": licence}


def make_croissant(
    promise: Promise, files: TableFiles, published: Mapping[str, PublishedFile], origin: Origin
) -> bytes:
    """``croissant.json``: a record set for each table, over a set of its files."""
    distribution: list[dict[str, Any]] = []
    record_sets = []
    for name, parts in files.items():
        objects = []
        for part in parts:
            one = published[part.path]
            relative = part.path.removeprefix(f"{DATA}/")
            objects.append(
                {
                    "@type": "cr:FileObject",
                    "@id": relative,
                    "name": relative,
                    "contentUrl": address_of(origin.base_url, part.path) if origin.base_url else relative,
                    "contentSize": f"{one.bytes} B",
                    "encodingFormat": "application/x-parquet",
                    "sha256": one.sha256,
                }
            )
        distribution += objects
        distribution.append(
            {
                "@type": "cr:FileSet",
                "@id": f"{name}-files",
                "name": f"{name}-files",
                "description": f"All files of {name}.",
                "containedIn": [{"@id": one["@id"]} for one in objects],
                "encodingFormat": "application/x-parquet",
                "includes": "*.parquet",
            }
        )
        record_sets.append(describe_records(keep_promise(promise, name)))
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "spack-warehouse",
        "description": f"{DESCRIPTION} {origin.describe_licence()}",
        "version": f"{promise.version}.0.0",
        "isBasedOn": list(origin.sources),
        "distribution": distribution,
        "recordSet": record_sets,
    }
    if origin.licence is not None:
        described["license"] = origin.licence
    if origin.read_on is not None:
        described["datePublished"] = str(origin.read_on)
    if origin.base_url is not None:
        described["url"] = origin.base_url
    return encode(described)


def describe_records(table: Relation) -> dict[str, Any]:
    """A table as Croissant's record set."""
    fields = []
    for column in table.columns:
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"{table.name}/{column.name}",
            "name": f"{table.name}/{column.name}",
            "description": column.description,
            "dataType": CROISSANT_TYPES.get(column.type.removesuffix("[]"), "sc:Text"),
            "source": {"fileSet": {"@id": f"{table.name}-files"}, "extract": {"column": column.name}},
        }
        if column.type.endswith("[]"):
            field["repeated"] = True
        fields.append(field)
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.description,
        "field": fields,
    }
