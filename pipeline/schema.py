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

    ``wide`` names the axis whose values become further BIGINT columns, in text order. A table macro
    has ``parameters``: those that may be left out are nullable.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    wide: str | None = None
    parameters: tuple[Column, ...] = ()

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

CONFIGURATION = (
    PACKAGE,
    *(column for column in SPEC if column.name in ("version", "compiler_family", "os", "platform", "target")),
    Column("variants", "VARCHAR", "variants by name, one spelling of each, e.g. build_type=Release +mpi"),
)
SPECS_OF_CONFIGURATION = Column("specs", "BIGINT", "distinct hashes of the configuration, root-only ones included")
STACKS_OF_CONFIGURATION = Column("stacks", "VARCHAR[]", "stacks that hold any of them, in text order, without root")
_SHOWN = ("version", "version_key", "compiler", "compiler_family", "os", "platform", "target", "variants")

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
"""What a build reads from its sources, and writes as Parquet."""

TARGETS_TABLE = Relation(
    "targets",
    "archspec's graph: a row per microarchitecture and each whose binaries it runs, itself included.",
    (
        replace(TARGET, description="microarchitecture of a host, by archspec's name, e.g. zen4"),
        Column("ancestor", "VARCHAR", "microarchitecture whose binaries it runs, e.g. x86_64_v3"),
        Column("distance", "BIGINT", "fewest steps between them in the graph; 0 for itself"),
        Column("family", "VARCHAR", "instruction set, e.g. x86_64"),
        Column("vendor", "VARCHAR", "maker of the target, or generic"),
    ),
)
HOSTS_TABLE = Relation(
    "hosts",
    "Well-known kinds of machines: a row per microarchitecture.",
    (
        replace(TARGET, description="microarchitecture by archspec's name, e.g. zen4"),
        Column("platform", "VARCHAR", "platform that the machines run: linux or darwin"),
        Column("machines", "VARCHAR", "which machines these are"),
    ),
)
LINEAGE_TABLE = Relation(
    "stack_lineage",
    "Stacks that were renamed or taken over, curated by hand: a row per stack and its successor.",
    (
        replace(STACK, description="stack that ended"),
        Column("successor", "VARCHAR", "stack that took its place"),
        Column("evidence", "VARCHAR", "where that was decided"),
    ),
)
VARIANT_SETS = Relation(
    "variant_sets",
    "What each list of variants in spec_stacks says, in one spelling: a row per list.",
    (
        Column("variants", "VARCHAR[]", "variants as spec_stacks has them"),
        Column("variants_key", "VARCHAR", "the same by name, one spelling of each: equal where they say the same"),
    ),
)

DERIVED_TABLES = (TARGETS_TABLE, HOSTS_TABLE, LINEAGE_TABLE, VARIANT_SETS)
"""What every build makes anew in the DuckDB file: rules of Spack as data, so that SQL alone can follow them."""

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
    total = "packages of the snapshot"
    if axis == "compiler":
        total += ", and for a compiler only those with a spec that has one"
    return Relation(
        f"summary_by_{axis}",
        f"How much of a snapshot each {axis} covers: a row per snapshot and {axis}.",
        (
            SNAPSHOT,
            AXIS_COLUMN[axis],
            PACKAGES,
            Column("packages_total", "BIGINT", total),
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


SERIES = Column("series", "VARCHAR", "release, weekly, develop or other: the kind of the snapshots")
POSITION = Column("position", "BIGINT", "1, 2, … within the series, in calendar order; a missing week counts")
CALENDAR_DATE = Column("date", "DATE", "date of a weekly snapshot; the Sunday of a missing week", nullable=True)

VIEWS = (
    Relation(
        "calendar",
        "A row per snapshot, and per week without one between two weekly snapshots.",
        (
            SERIES,
            POSITION,
            CALENDAR_DATE,
            replace(SNAPSHOT, description="snapshot; NULL for a week that has none", nullable=True),
        ),
    ),
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
        "configurations",
        "What a user tells specs apart by: a row per snapshot and configuration.",
        (SNAPSHOT, *CONFIGURATION, SPECS_OF_CONFIGURATION, STACKS_OF_CONFIGURATION),
    ),
    Relation(
        "loaded_sources",
        "Proof that what is not in the warehouse is not in the cache: a row per source that was loaded whole.",
        (
            SNAPSHOT,
            replace(PACKAGE, description="package that the source tells of; NULL where of every one", nullable=True),
            replace(STACK, description="stack that the source tells of; NULL where of every one", nullable=True),
        ),
    ),
    Relation(
        "absences",
        "Packages without a page where one would be: a row per two snapshots and package that the one provably lacks.",
        (
            replace(SNAPSHOT, description="snapshot that has no page of the package, and pages of most others"),
            Column("other", "VARCHAR", "snapshot that has a page of the package"),
            PACKAGE,
        ),
    ),
    Relation(
        "coverage_by_host",
        "What each of the well-known hosts can use: a row per snapshot, package and host with at least one spec.",
        (
            SNAPSHOT,
            PACKAGE,
            Column("host_target", "VARCHAR", "microarchitecture of the host: a target of the table hosts"),
            replace(NUM_SPECS, description="distinct hashes for its target or an ancestor, on its platform"),
        ),
    ),
    Relation(
        "coverage_trend",
        "Coverage over time: a row per series, axis, value and snapshot, and for each week without a snapshot.",
        (
            SERIES,
            POSITION,
            CALENDAR_DATE,
            replace(SNAPSHOT, description="snapshot; NULL for a week that has none", nullable=True),
            Column("axis", "VARCHAR", "stack, compiler or target"),
            Column("value", "VARCHAR", "the stack, compiler or target; from its first snapshot of the series on"),
            *(
                replace(column, nullable=True, description=f"{column.description}; NULL for a missing week")
                for column in (
                    replace(PACKAGES, description="packages with at least one spec there, 0 where none"),
                    Column("packages_total", "BIGINT", "packages of the snapshot, as in summary_by_*"),
                    Column("coverage", "DOUBLE", "packages / packages_total, 0 to 1"),
                    SPECS,
                )
            ),
        ),
    ),
    Relation(
        "survival",
        "What of a snapshot is still in the next of its series: a row per snapshot that has one before it.",
        (
            replace(SERIES, description="release or weekly: the kind of both snapshots"),
            replace(SNAPSHOT, description="the later snapshot"),
            Column("previous_snapshot", "VARCHAR", "the snapshot before it in the series"),
            Column("weeks", "BIGINT", "weeks between them; NULL where they have no dates", nullable=True),
            Column("specs", "BIGINT", "hashes of the earlier one, of sources that the later one has whole too"),
            Column("specs_survived", "BIGINT", "those of them that the later one has"),
            Column("spec_survival", "DOUBLE", "specs_survived / specs; NULL where there are none", nullable=True),
            Column("configurations", "BIGINT", "configurations of the earlier one, likewise"),
            Column("configurations_survived", "BIGINT", "those that the later one has"),
            Column(
                "configuration_survival",
                "DOUBLE",
                "configurations_survived / configurations; NULL where there are none",
                nullable=True,
            ),
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

FROM_TO = (
    Column("from_snapshot", "VARCHAR", "the earlier snapshot"),
    Column("to_snapshot", "VARCHAR", "the later snapshot"),
)
CHANGE = Column("change", "VARCHAR", "lost or gained")

MACROS = (
    Relation(
        "usable_on",
        "What a host can use, as far as its microarchitecture tells: a row per snapshot and hash.",
        (
            SNAPSHOT,
            PACKAGE,
            HASH,
            *(column for column in SPEC if column.name in _SHOWN),
            Column("stacks", "VARCHAR[]", "stacks that hold the spec, in text order, without root"),
            Column(
                "target_match",
                "VARCHAR",
                "exact or ancestor: it runs there; unresolved: archspec does not know the target, or the host",
            ),
            Column("distance", "BIGINT", "steps from the target to the host's; NULL where unresolved", nullable=True),
            Column(
                "libc", "VARCHAR", "whether the host's libc will do: always unknown, sources do not tell the spec's"
            ),
        ),
        parameters=(
            Column("host_target", "VARCHAR", "the host's microarchitecture, as spack arch -t prints it"),
            Column("host_os", "VARCHAR", "only specs for this operating system", nullable=True),
            Column("family", "VARCHAR", "only specs of this compiler family, or of none", nullable=True),
            Column("host_platform", "VARCHAR", "by default darwin for Apple's targets, else linux", nullable=True),
        ),
    ),
    Relation(
        "hash_diff",
        "Hashes that one snapshot has and another has not: a row per hash.",
        (
            CHANGE,
            PACKAGE,
            HASH,
            *(column for column in SPEC if column.name in _SHOWN),
            Column("stacks", "VARCHAR[]", "stacks that held it or hold it, without root"),
        ),
        parameters=FROM_TO,
    ),
    Relation(
        "configuration_diff",
        "Configurations that one snapshot has and another has not: a row per configuration.",
        (CHANGE, *CONFIGURATION, SPECS_OF_CONFIGURATION, STACKS_OF_CONFIGURATION),
        parameters=FROM_TO,
    ),
    Relation(
        "lost",
        "What each stack held and holds no more, with the cause: a row per package, stack, version, "
        "compiler, target, cause and replacement.",
        (
            PACKAGE,
            AXIS_COLUMN["stack"],
            Column("version", "VARCHAR", "version of the lost specs"),
            COMPILER,
            TARGET,
            Column(
                "cause",
                "VARCHAR",
                "stack removed, package gone from the stack, version replaced, compiler replaced, target replaced, "
                "os replaced, variant replaced, only the hash changed; or source missing: not known to be lost",
            ),
            Column(
                "replaced_by",
                "VARCHAR",
                "what stands there instead: the successor of a removed stack, else the value that replaces; "
                "NULL where nothing does",
                nullable=True,
            ),
            Column("specs", "BIGINT", "distinct hashes that the stack has lost"),
        ),
        parameters=FROM_TO,
    ),
)
"""Views with parameters: table macros, asked as ``from usable_on('zen4')``."""

RELATIONS: Mapping[str, Relation] = {relation.name: relation for relation in (*TABLES, *DERIVED_TABLES, *VIEWS)}


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


TABLE_FORMATS = ("csv", "parquet", "json")
"""Formats of reports with a file for each report."""
FORMATS = (*TABLE_FORMATS, "xlsx", "markdown", "html")
"""All of them; the others have one file for a snapshot."""
DEFAULT_FORMATS = ("csv", "parquet")

NEWEST = "newest"
"""What users may call the newest snapshot."""
