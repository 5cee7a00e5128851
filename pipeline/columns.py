"""The one home of every table, view and column: name, type, nullability, description.

From here come the Arrow schemas of the Parquet files, the tables and comments of the DuckDB file,
and the data dictionary of the README. The views' SQL stands in ``sql/``; a test holds both
together in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

META_LISTS = ("compilers", "oss", "platforms", "targets", "versions", "stacks")
"""The fields of a page's ``meta`` that list the distinct values of its specs."""
AXES = ("stack", "compiler", "target")
ROOT = "root"
"""The union mirror, listed among a spec's stacks by the pages but no stack itself."""


@dataclass(frozen=True)
class Column:
    """A column: ``type`` is DuckDB's name of its type."""

    name: str
    type: str
    description: str
    nullable: bool = False


@dataclass(frozen=True)
class Relation:
    """A table or view: what it is, a row of what, and its columns in order.

    ``wide`` names the axis whose values become further BIGINT columns, in text order.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    wide: str | None = None

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


SNAPSHOT = Column("snapshot", "VARCHAR", "published state of a cache, e.g. develop-2025-03-30")
PACKAGE = Column("package", "VARCHAR", "Spack package, e.g. py-wheel")
HASH = Column("hash", "VARCHAR", "the spec's 32-letter DAG hash")
STACK = Column("stack", "VARCHAR", "CI stack whose cache holds the spec; root is no stack")
COMPILER = Column("compiler", "VARCHAR", "name@version without =, or none: no compiled code")
TARGET = Column("target", "VARCHAR", "microarchitecture by archspec's name, e.g. x86_64_v3")
NUM_SPECS = Column("num_specs", "BIGINT", "distinct hashes")
VERSIONS = Column("versions", "VARCHAR[]", "distinct versions among them, in text order")
LATEST_VERSION = Column("latest_version", "VARCHAR", "the newest of them, in Spack's order")
PACKAGES = Column("packages", "BIGINT", "packages with at least one spec there")
SPECS = Column("specs", "BIGINT", "distinct hashes there")

AXIS_COLUMN = {
    "stack": replace(STACK, description="CI stack; root is left out"),
    "compiler": COMPILER,
    "target": TARGET,
}

SPEC = (
    Column("version", "VARCHAR", "the spec's one version, e.g. 1.14.5"),
    Column("version_key", "VARCHAR", "key whose text order is Spack's order of versions"),
    COMPILER,
    Column("compiler_name", "VARCHAR", "compiler without its version, or none"),
    Column("compiler_version", "VARCHAR", "compiler's version; NULL where it has none", nullable=True),
    Column("compiler_family", "VARCHAR", "compiler's name as of Spack 1.0, e.g. llvm for clang"),
    Column("compiler_raw", "VARCHAR", "compiler as the source spelt it, e.g. gcc@=11.4.0"),
    Column(
        "compilers",
        "MAP(VARCHAR, VARCHAR)",
        "language (c, cxx, fortran) to name@version; NULL where the source tells of one compiler only",
        nullable=True,
    ),
    Column("os", "VARCHAR", "operating system, e.g. ubuntu22.04"),
    Column("platform", "VARCHAR", "linux, darwin or windows"),
    TARGET,
    Column("variants", "VARCHAR[]", "variants in source order, as spelt, e.g. +mpi, build_type=Release"),
    Column("size_bytes", "BIGINT", "size of the binary in bytes; NULL where the source says -", nullable=True),
    Column("tarball_url", "VARCHAR", "URL of the binary; NULL where the source gives none", nullable=True),
    Column("patches", "VARCHAR[]", "full SHA-256 of each patch; NULL where the source is a page", nullable=True),
    Column(
        "compiler_flags",
        "MAP(VARCHAR, VARCHAR)",
        "cflags, ldflags and the like, of those that are set; NULL where the source is a page",
        nullable=True,
    ),
    Column("namespace", "VARCHAR", "repository of the package, e.g. builtin; NULL where not told", nullable=True),
    Column(
        "external", "BOOLEAN", "whether it is of the system, not built by Spack; NULL where not told", nullable=True
    ),
    Column("source", "VARCHAR", "path or URL of the page or index, relative to the source root"),
)
"""What a source says of one spec, apart from where it stands."""

SPEC_STACKS = Relation(
    "spec_stacks",
    "The long table: a row per snapshot, spec and stack that holds it, root included.",
    (SNAPSHOT, PACKAGE, HASH, STACK, *SPEC),
)

DEPENDENCIES = Relation(
    "dependencies",
    "Direct dependencies, as indexes tell of them: a row per snapshot, spec and dependency.",
    (
        SNAPSHOT,
        HASH,
        Column("dependency_hash", "VARCHAR", "hash of the dependency; it need not be in the cache"),
        Column("dependency", "VARCHAR", "package of the dependency"),
        Column("deptypes", "VARCHAR[]", "what it is needed for: build, link, run, test"),
        Column("virtuals", "VARCHAR[]", "virtual packages that it provides to the spec, e.g. mpi, c"),
    ),
)

PAGES_TABLE = Relation(
    "pages",
    "A row per source page or build-cache index that was read.",
    (
        SNAPSHOT,
        replace(PACKAGE, description="package of the page; NULL for an index", nullable=True),
        Column("stack", "VARCHAR", "stack of the index, root for the union mirror's; NULL for a page", nullable=True),
        Column("path", "VARCHAR", "path or URL of the file, relative to the source root"),
        Column("bytes", "BIGINT", "size of the file in bytes"),
        Column("sha256", "VARCHAR", "SHA-256 of the file's bytes, in hexadecimal"),
        Column("specs", "BIGINT", "specs loaded from it"),
        Column("rejects", "BIGINT", "rows of rejects from it"),
        Column("records", "BIGINT", "records in an index; NULL for a page", nullable=True),
        Column("externals", "BIGINT", "records of an index not in its cache, of the system's", nullable=True),
        Column("holes", "BIGINT", "records of an index not in its cache, that were never pushed", nullable=True),
        Column("repeated", "BIGINT", "specs of an index that another one gives for the same stack", nullable=True),
        Column(
            "unknown_keys", "VARCHAR[]", "keys of a page's specs that the warehouse does not know, each as key=count"
        ),
        Column(
            "meta",
            "VARCHAR",
            "the page's own meta, or the index's version of Spack's database, as JSON; NULL where it has none",
            nullable=True,
        ),
        Column("meta_num_specs", "BIGINT", "num_specs of meta; NULL where it has none of that type", nullable=True),
        Column(
            "meta_num_specs_by_stack",
            "MAP(VARCHAR, BIGINT)",
            "num_specs_by_stack of meta, root included",
            nullable=True,
        ),
        *(Column(f"meta_{name}", "VARCHAR[]", f"{name} of meta, as it has them", nullable=True) for name in META_LISTS),
    ),
)

REJECTS = Relation(
    "rejects",
    "What could not be read or loaded: a row per file, page, index, meta field or spec.",
    (
        Column("path", "VARCHAR", "path of the file, relative to the source root"),
        Column("place", "VARCHAR", "where in the file, e.g. spec_details[3].hash"),
        Column("reason", "VARCHAR", "why, in one sentence"),
        Column(
            "raw", "VARCHAR", "the raw text of the spec, or the start of the page; NULL if unreadable", nullable=True
        ),
        Column(
            "specs",
            "BIGINT",
            "specs of the input that the row stands for; NULL where they cannot be counted",
            nullable=True,
        ),
        replace(SNAPSHOT, description="snapshot of the page or index; NULL where it is not known", nullable=True),
        replace(PACKAGE, description="package of the page; NULL where it is not known", nullable=True),
        Column("stack", "VARCHAR", "stack of the index; NULL for a page", nullable=True),
    ),
)

TABLES = (SPEC_STACKS, PAGES_TABLE, DEPENDENCIES, REJECTS)

SPECS_VIEW = Relation(
    "specs",
    "A row per snapshot and hash: the spec, and the stacks that hold it.",
    (
        SNAPSHOT,
        PACKAGE,
        HASH,
        *SPEC,
        Column("stacks", "VARCHAR[]", "stacks that hold the spec, in text order, without root"),
        Column("in_root", "BOOLEAN", "whether the root mirror holds it: the spec is published"),
    ),
)


def _coverage(axis: str) -> Relation:
    return Relation(
        f"coverage_by_{axis}",
        f"Which packages have specs per {axis}: a row per snapshot, package and {axis} with at least one.",
        (SNAPSHOT, PACKAGE, AXIS_COLUMN[axis], NUM_SPECS, VERSIONS, LATEST_VERSION),
    )


def _matrix(axis: str) -> Relation:
    return Relation(
        f"matrix_by_{axis}",
        f"Coverage by {axis}, wide: a row per snapshot and package, a column per {axis}, in text order.",
        (SNAPSHOT, PACKAGE),
        wide=axis,
    )


def _summary(axis: str) -> Relation:
    return Relation(
        f"summary_by_{axis}",
        f"How much of a snapshot each {axis} covers: a row per snapshot and {axis}.",
        (
            SNAPSHOT,
            AXIS_COLUMN[axis],
            PACKAGES,
            Column("packages_total", "BIGINT", "packages of the snapshot"),
            Column("coverage", "DOUBLE", "packages / packages_total, 0 to 1"),
            SPECS,
        ),
    )


def _pair(first: str, second: str) -> Relation:
    return Relation(
        f"{first}_by_{second}",
        f"A row per snapshot, {first} and {second} that meet in at least one spec.",
        (SNAPSHOT, AXIS_COLUMN[first], AXIS_COLUMN[second], PACKAGES, SPECS),
    )


VIEWS = (
    Relation(
        "snapshots",
        "A row per snapshot.",
        (
            SNAPSHOT,
            Column("kind", "VARCHAR", "develop, weekly (develop-YYYY-MM-DD), release (vX.Y.Z) or other"),
            Column("date", "DATE", "date of a weekly snapshot; NULL for the others", nullable=True),
            Column("sort_position", "BIGINT", "1, 2, …: releases by number, weekly by date, develop, others by name"),
            replace(PACKAGES, description="packages with at least one spec"),
            replace(SPECS, description="distinct hashes, root-only ones included"),
        ),
    ),
    SPECS_VIEW,
    *(_coverage(axis) for axis in AXES),
    *(_matrix(axis) for axis in AXES),
    *(_summary(axis) for axis in AXES),
    _pair("stack", "compiler"),
    _pair("stack", "target"),
    _pair("compiler", "target"),
    Relation(
        "root_only_specs",
        "A row per snapshot and hash that stands in root and in no stack.",
        tuple(column for column in SPECS_VIEW.columns if column.name not in ("stacks", "in_root")),
    ),
    Relation(
        "version_lag",
        "How far each stack is behind: a row per snapshot, package and stack.",
        (
            SNAPSHOT,
            PACKAGE,
            AXIS_COLUMN["stack"],
            replace(LATEST_VERSION, description="the newest version that the stack holds, in Spack's order"),
            Column("newest_version", "VARCHAR", "the newest version that any stack of the snapshot holds"),
            Column("versions_behind", "BIGINT", "distinct newer versions that other stacks of the snapshot hold"),
        ),
    ),
    Relation(
        "reuse",
        "How many stacks share the specs of each package: a row per snapshot and package.",
        (
            SNAPSHOT,
            PACKAGE,
            replace(SPECS, description="distinct hashes, root-only ones included"),
            Column("memberships", "BIGINT", "specs counted once for each stack that holds them, root left out"),
            Column("shared_specs", "BIGINT", "distinct hashes that two or more stacks hold"),
            Column("stacks_per_spec", "DOUBLE", "memberships / specs"),
        ),
    ),
    Relation(
        "redundancy",
        "How many specs differ in nothing that a user sees: a row per snapshot and package.",
        (
            SNAPSHOT,
            PACKAGE,
            replace(SPECS, description="distinct hashes, root-only ones included"),
            Column("configurations", "BIGINT", "distinct version, compiler, os, platform, target and variants"),
            Column("redundant", "BIGINT", "specs less configurations"),
        ),
    ),
    Relation(
        "gaps",
        "Packages that a stack lacks and others of its platform have: a row per snapshot, stack and package.",
        (
            SNAPSHOT,
            AXIS_COLUMN["stack"],
            PACKAGE,
            Column("platform", "VARCHAR", "platform that the stack builds for"),
            Column("held_by", "BIGINT", "other stacks of the platform that have the package there"),
            Column("stacks", "VARCHAR[]", "those stacks, in text order"),
        ),
    ),
    Relation(
        "meta_mismatches",
        "Where a page's own meta disagrees with its spec_details: a row per field, or per stack of num_specs_by_stack.",
        (
            SNAPSHOT,
            PACKAGE,
            Column("field", "VARCHAR", "field of meta, e.g. num_specs"),
            Column("said", "VARCHAR", "what meta says, as JSON; a stack that it leaves out counts as 0"),
            Column("found", "VARCHAR", "what the loaded specs give, as JSON"),
        ),
    ),
)

RELATIONS: Mapping[str, Relation] = {relation.name: relation for relation in (*TABLES, *VIEWS)}


def describe_wide(axis: str, value: str) -> str:
    """The description of a matrix's column for one value of its axis."""
    return f"distinct hashes of the package with {axis} {value}; 0 where none"


def arrow_schema(relation: Relation, without: tuple[str, ...] = ()) -> pa.Schema:
    """The Arrow schema of a table's Parquet files; ``without`` names partition columns."""
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "VARCHAR[]": pa.list_(pa.string()),
        "MAP(VARCHAR, BIGINT)": pa.map_(pa.string(), pa.int64()),
        "MAP(VARCHAR, VARCHAR)": pa.map_(pa.string(), pa.string()),
        "BOOLEAN": pa.bool_(),
    }
    return pa.schema(
        [
            pa.field(
                column.name,
                types[column.type],
                nullable=column.nullable,
                metadata={"description": column.description},
            )
            for column in relation.columns
            if column.name not in without
        ]
    )
