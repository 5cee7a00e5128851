"""The one home of every table and its columns: name, type, nullability, description.

From here come the Arrow schemas of the Parquet files, and the tables and comments of the DuckDB file.
Views and macros are described by the files of ``sql/`` that make them (see :mod:`pipeline.store.sqlfiles`);
what many of their columns mean alike stands in :data:`GLOSSARY`.
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
MATRIX_COLUMNS = 500
"""Values of an axis that its matrix has a column for at most; the long views have all."""
ROOT = "root"
"""The union mirror, listed among a spec's stacks by the pages but no stack itself."""


@dataclass(frozen=True)
class Column:
    """A column: ``type`` is DuckDB's name of its type, empty where DuckDB derives it from a query."""

    name: str
    type: str
    description: str
    nullable: bool = False


@dataclass(frozen=True)
class Relation:
    """A table, view or macro: what it is, a row of what, and its columns in order.

    ``wide`` names the axis whose values become further BIGINT columns, in text order and at most
    :data:`MATRIX_COLUMNS`. A table macro, which is a view with parameters, has ``parameters``: those that may be
    left out are nullable.
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
        "language (c, cxx, fortran) to name@version; NULL where the source names one compiler only",
        nullable=True,
    ),
    Column("os", "VARCHAR", "operating system, e.g. ubuntu22.04"),
    Column("platform", "VARCHAR", "linux, darwin or windows"),
    TARGET,
    Column("variants", "VARCHAR[]", "variants in source order, as spelt, e.g. +mpi, build_type=Release"),
    Column(
        "size_bytes", "BIGINT", "size of the binary's tarball in bytes; NULL where no source says it", nullable=True
    ),
    Column("tarball_url", "VARCHAR", "URL of the binary; NULL where the source gives none", nullable=True),
    Column("patches", "VARCHAR[]", "full SHA-256 of each patch; NULL where the source is a page", nullable=True),
    Column(
        "compiler_flags",
        "MAP(VARCHAR, VARCHAR)",
        "cflags, ldflags and the like, of those that are set; NULL where the source is a page",
        nullable=True,
    ),
    Column("namespace", "VARCHAR", "repository of the package, e.g. builtin; NULL where missing", nullable=True),
    Column(
        "external",
        "BOOLEAN",
        "whether Spack uses it from the system and did not build it; NULL where missing",
        nullable=True,
    ),
    Column("source", "VARCHAR", "path or URL of the page or index, relative to its source"),
)
"""What a source says of one spec, apart from where it stands."""
SPLICED_FROM = Column(
    "spliced_from", "VARCHAR", "hash of the spec that it is spliced from; NULL for all others", nullable=True
)
OF_INDEX = (
    Column(
        "libc",
        "VARCHAR",
        "C library that it needs of the host, itself or by what it links and runs with, e.g. glibc@2.35; "
        "NULL where it needs none or the source does not say: libc_known",
        nullable=True,
    ),
    Column("libc_version", "VARCHAR", "the oldest version that will do, e.g. 2.35; NULL with libc", nullable=True),
    Column("libc_path", "VARCHAR", "where that lies, e.g. /usr; NULL with libc", nullable=True),
    Column("libc_known", "BOOLEAN", "whether the source says which libc it needs, or that it needs none; pages do not"),
    Column("package_hash", "VARCHAR", "hash of its recipe; NULL from pages, and before Spack 0.18", nullable=True),
    SPLICED_FROM,
)
"""What indexes alone say of one spec."""

INSTALLABLE = Column(
    "installable",
    "BOOLEAN",
    "whether it installs without building: all that it links and runs with, and what a spliced one is spliced from, is "
    "in the same stack's cache, else in root's, else external; NULL where the source does not say, as pages do not",
    nullable=True,
)

SPEC_STACKS = Relation(
    "spec_stacks",
    "The long table: a row per snapshot, spec and stack that holds it, root included.",
    (SNAPSHOT, PACKAGE, HASH, STACK, *SPEC, *OF_INDEX, INSTALLABLE),
)

STORED_SPECS = Relation(
    "stored_specs",
    "How the DuckDB file stores specs and spec_stacks, which are views on it: a row per snapshot and hash.",
    (
        SNAPSHOT,
        PACKAGE,
        HASH,
        *SPEC,
        Column("stacks", "VARCHAR[]", "stacks that hold the spec, in text order, without root"),
        Column("in_root", "BOOLEAN", "whether the root mirror holds it: the spec is published"),
        Column(
            "places",
            'STRUCT("source" VARCHAR, size_bytes BIGINT, tarball_url VARCHAR, installable BOOLEAN)[]',
            "what each of the stacks, and then root, says otherwise; NULL where all say the same",
            nullable=True,
        ),
        *OF_INDEX,
        replace(
            INSTALLABLE,
            description="whether it installs without building from any of its stacks, or from root; "
            "NULL where its sources do not say, as pages do not",
        ),
    ),
)

DEPENDENCIES = Relation(
    "dependencies",
    "Direct dependencies, as indexes list them: a row per snapshot, spec (or hole) and dependency.",
    (
        SNAPSHOT,
        HASH,
        Column("dependency_hash", "VARCHAR", "hash of the dependency; it need not be in the cache"),
        Column("dependency", "VARCHAR", "package of the dependency"),
        Column("deptypes", "VARCHAR[]", "what it is needed for: build, link, run, test"),
        Column("virtuals", "VARCHAR[]", "virtual packages that it provides to the spec, e.g. mpi, c"),
    ),
)

RECORDS = Relation(
    "records",
    "What indexes list beside the specs of their caches: a row per index and external or hole.",
    (
        SNAPSHOT,
        replace(STACK, description="stack of the index; root for the union mirror's"),
        replace(HASH, description="the record's 32-letter DAG hash; dependencies name it so"),
        replace(PACKAGE, description="Spack package, e.g. glibc"),
        Column("version", "VARCHAR", "its one version, e.g. 2.35"),
        Column("kind", "VARCHAR", "external: Spack uses it from the system; hole: needed by others and never pushed"),
        replace(COMPILER, description="name@version without =, or none, e.g. for an external"),
        Column("os", "VARCHAR", "operating system, e.g. ubuntu22.04"),
        Column("platform", "VARCHAR", "linux, darwin or windows"),
        TARGET,
        Column("external_path", "VARCHAR", "where an external lies, e.g. /usr; NULL for a hole", nullable=True),
        Column("external_modules", "VARCHAR[]", "environment modules that an external is found by; empty for a hole"),
        Column("namespace", "VARCHAR", "repository of the package, e.g. builtin; NULL where missing", nullable=True),
        Column("source", "VARCHAR", "path or URL of the index, relative to its source"),
        SPLICED_FROM,
    ),
)

PAGES_TABLE = Relation(
    "pages",
    "A row per source page or build-cache index that was read.",
    (
        SNAPSHOT,
        replace(PACKAGE, description="package of the page; NULL for an index", nullable=True),
        Column("stack", "VARCHAR", "stack of the index, root for the union mirror's; NULL for a page", nullable=True),
        Column("path", "VARCHAR", "path or URL of the file, relative to its source"),
        Column("bytes", "BIGINT", "size of the file in bytes; a page of 2021 with its spec files"),
        Column(
            "sha256", "VARCHAR", "SHA-256 of the file's bytes, in hexadecimal; of a page of 2021 with its spec files"
        ),
        Column("specs", "BIGINT", "specs loaded from it"),
        Column("rejects", "BIGINT", "rows of rejects from it"),
        Column("records", "BIGINT", "records in an index; NULL for a page", nullable=True),
        Column("externals", "BIGINT", "records of an index that are the system's and not in its cache", nullable=True),
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
        Column("state", "VARCHAR", "loaded; or stale or shrunk: its rows are those of an earlier build, see sources"),
    ),
)

SOURCES = Relation(
    "sources",
    "What each source gave: a row per source, snapshot and stack, and per source that gave nothing.",
    (
        Column(
            "source",
            "VARCHAR",
            "folder, file or URL as the user named it, without secrets; NULL where a warehouse of 0.1.0 does not say",
            nullable=True,
        ),
        Column(
            "kind",
            "VARCHAR",
            "pages, build cache, listing, or warehouse; NULL where it gave nothing",
            nullable=True,
        ),
        replace(SNAPSHOT, description="snapshot that it holds; NULL where it gave nothing", nullable=True),
        Column("stack", "VARCHAR", "stack of its index, root for the union mirror's; NULL for pages", nullable=True),
        Column(
            "state",
            "VARCHAR",
            "loaded; stale: could not be read and its last good rows stay; shrunk: has less than half of what it had, "
            "which stays; failed: could not be read; empty: nothing to load is in it",
        ),
        Column("read_on", "DATE", "day (UTC) on which its present bytes were first read", nullable=True),
        Column(
            "last_seen", "DATE", "last day on which the source held what is kept; NULL where it does", nullable=True
        ),
        Column("records", "BIGINT", "records of its indexes, or specs of its pages; NULL for none", nullable=True),
        Column("specs", "BIGINT", "specs loaded from it; NULL for none", nullable=True),
        Column("reason", "VARCHAR", "why it is not loaded, or why it is kept; NULL where it is loaded", nullable=True),
        Column(
            "spack_oldest",
            "VARCHAR",
            "oldest series of Spack that reads all of its indexes, by their database and layout, e.g. 1.0; "
            "NULL where that is not known, as of pages",
            nullable=True,
        ),
        Column(
            "spack_newest",
            "VARCHAR",
            "newest series that does, e.g. 0.23; NULL where every later one does, or it is not known",
            nullable=True,
        ),
    ),
)

REJECTS = Relation(
    "rejects",
    "What could not be read or loaded: a row per file, page, index, meta field or spec.",
    (
        Column("path", "VARCHAR", "path of the file, relative to its source"),
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

TABLES = (SPEC_STACKS, PAGES_TABLE, DEPENDENCIES, RECORDS, REJECTS, SOURCES)
"""What a build reads from its sources, and writes as Parquet."""

MISSING_DEPENDENCIES = Relation(
    "missing_dependencies",
    "What keeps a spec from being installable: a row per snapshot, stack, spec and missing part of its closure, of "
    "which the five nearest are listed.",
    (
        SNAPSHOT,
        replace(STACK, description="CI stack whose cache holds the spec and lacks the part, as root's does; or root"),
        HASH,
        PACKAGE,
        Column("missing_package", "VARCHAR", "package of the missing part, e.g. zlib-ng"),
        Column("missing_hash", "VARCHAR", "its 32-letter DAG hash"),
        Column("reason", "VARCHAR", "hole: an index describes it, and it is not in the cache; unknown: none does"),
        Column("depth", "BIGINT", "dependencies on the shortest way to it: 1 is a direct one"),
    ),
)
EXTERNAL_DEPENDENCIES = Relation(
    "external_dependencies",
    "What must be on the machine for specs to run: a row per snapshot and external that specs link or run with.",
    (
        SNAPSHOT,
        Column("name", "VARCHAR", "its package, e.g. glibc"),
        Column("version", "VARCHAR", "its one version, e.g. 2.35"),
        Column("path", "VARCHAR", "where it lies, e.g. /usr; NULL where modules alone find it", nullable=True),
        Column("modules", "VARCHAR[]", "environment modules that it is found by"),
        Column(
            "specs",
            "BIGINT",
            "specs that need it, by all that they link and run with; NULL beyond the 256 externals of a snapshot that "
            "the most name themselves",
            nullable=True,
        ),
        Column(
            "stacks",
            "VARCHAR[]",
            "stacks that hold such a spec, in text order, without root; NULL as specs",
            nullable=True,
        ),
    ),
)
CLOSURE_TABLES = (MISSING_DEPENDENCIES, EXTERNAL_DEPENDENCIES)
"""What a build finds in the closures of a snapshot's specs, for the DuckDB file alone."""
SNAPSHOT_TABLES = (STORED_SPECS, PAGES_TABLE, DEPENDENCIES, RECORDS, *CLOSURE_TABLES)
"""Those of the DuckDB file whose every row is of one snapshot."""

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
RELEASES_TABLE = Relation(
    "os_releases",
    "Releases of macOS: a row per release and each whose binaries it runs, itself included.",
    (
        Column("os", "VARCHAR", "operating system of a host, e.g. sonoma"),
        Column("ancestor", "VARCHAR", "operating system whose binaries it runs, e.g. ventura"),
        Column("distance", "BIGINT", "releases between them; 0 for itself"),
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

CHANGES = Relation(
    "changes",
    "What came and left between each snapshot and its previous complete one: a row per stack, package, change, cause "
    "and configuration.",
    (
        Column("from_snapshot", "VARCHAR", "the previous complete snapshot, see previous_snapshots"),
        Column("to_snapshot", "VARCHAR", "the snapshot"),
        replace(STACK, description="CI stack that lost or gained specs; root is left out"),
        PACKAGE,
        Column("change", "VARCHAR", "lost: specs that the stack has no more; gained: specs of a package new to it"),
        Column(
            "cause",
            "VARCHAR",
            "of lost: as the macro lost gives it; of gained: stack added, package new in the stack, or source missing: "
            "not known to be new",
        ),
        Column("version", "VARCHAR", "version of the specs"),
        Column("compiler", "VARCHAR", "compiler of the specs"),
        Column("target", "VARCHAR", "target of the specs"),
        Column(
            "replaced_by", "VARCHAR", "what stands in place of what is lost; NULL where nothing does", nullable=True
        ),
        Column("specs", "BIGINT", "distinct hashes that the stack lost or gained"),
        Column(
            "head",
            "VARCHAR",
            "of a package that is gone from the stack: the lost package that it went with, or itself, see loss_heads; "
            "NULL of all else",
            nullable=True,
        ),
        Column(
            "variants_lost",
            "VARCHAR[]",
            "of a variant replaced: the variants of the lost specs that differ, in the spelling of variants_key; NULL "
            "of all else",
            nullable=True,
        ),
        Column("variants_gained", "VARCHAR[]", "and what stands there in their place; NULL of all else", nullable=True),
    ),
)

COMPUTED_TABLES = (*CLOSURE_TABLES, CHANGES)
"""What a build computes of what it read, and keeps in the DuckDB file alone."""

TAGS_TABLE = Relation(
    "tags",
    "Stacks that snapshots should have, as a site's _data/tags.yaml lists them: a row per snapshot and stack.",
    (SNAPSHOT, replace(STACK, description="stack that is listed; root too, where it is")),
)

DERIVED_TABLES = (TARGETS_TABLE, HOSTS_TABLE, RELEASES_TABLE, LINEAGE_TABLE, VARIANT_SETS, TAGS_TABLE)
"""What every build makes anew in the DuckDB file: rules of Spack as data, for SQL alone to follow them, and tags."""

GLOSSARY: Mapping[str, str] = {
    **{column.name: column.description for column in SPEC_STACKS.columns},
    "stack": "CI stack; root is left out",
    "stacks": "stacks that hold the spec, in text order, without root",
    "packages": "packages with at least one spec there",
    "specs": "distinct hashes there",
    "coverage": "packages / packages_total, 0 to 1",
    "series": "release, weekly, develop or other: the kind of the snapshots",
    "position": "1, 2, … within the series, in calendar order; a missing week counts",
    "date": "date of a weekly snapshot; the Sunday of a missing week; NULL for the others",
    "change": "lost or gained",
    "from_snapshot": "the earlier snapshot",
    "to_snapshot": "the later snapshot",
}
"""What a column of a view or macro holds, or a parameter is, where its file of ``sql/`` says nothing else."""


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
        "DATE": pa.date32(),
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
