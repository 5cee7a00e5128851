"""Every view, counted again by brute force in plain Python over generated pages."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.columns import RELATIONS, VIEWS
from pipeline.versions import version_key
from tests.makers import ask, build_pages, make_spec, unique_specs

PAGES = Path(__file__).parent / "data" / "pages"
SNAPSHOTS = ["develop", "develop-2025-01-05", "v0.9", "v0.23.1", "other"]
PACKAGES = ["hdf5", "py-wheel", "<script>", "a'b"]
TESTED = set()
FAMILIES = {"clang": "llvm", "oneapi": "intel-oneapi-compilers"}


def compiler_of(spec):
    return spec["compiler"].replace("@=", "@")


def newest(versions):
    """The newest version in Spack's order; of those that are equal there, the later in text order."""
    return max(versions, key=lambda version: (version_key(version), version))


class Oracle:
    """The views, by loops over the pages' own records."""

    def __init__(self, pages):
        self.specs = []  # (snapshot, package, spec): a hash counts once in a snapshot, for the first package
        self.pages = pages
        seen = set()
        for (snapshot, package), specs in sorted(pages.items()):
            for spec in specs:
                if (snapshot, spec["hash"]) not in seen:
                    seen.add((snapshot, spec["hash"]))
                    self.specs.append((snapshot, package, spec))

    def values(self, spec, axis):
        if axis == "stack":
            return [stack for stack in spec["stacks"] if stack != "root"]
        return [compiler_of(spec) if axis == "compiler" else spec["target"]]

    def group(self, *axes):
        """The specs that meet in each combination of values."""
        groups = defaultdict(list)
        for snapshot, package, spec in self.specs:
            keys = [()]
            for axis in axes:
                here = [package] if axis == "package" else self.values(spec, axis)
                keys = [(*key, value) for key in keys for value in here]
            for key in keys:
                groups[(snapshot, *key)].append((package, spec))
        return groups

    def coverage(self, axis):
        rows = set()
        for key, specs in self.group("package", axis).items():
            versions = {spec["versions"][0] for _, spec in specs}
            rows.add((*key, len(specs), tuple(sorted(versions)), newest(versions)))
        return rows

    def matrix(self, axis):
        cells = Counter()
        for snapshot, package, spec in self.specs:
            for value in self.values(spec, axis):
                cells[snapshot, package, value] += 1
        columns = sorted({value for _, _, spec in self.specs for value in self.values(spec, axis)})
        rows = {(snapshot, package) for snapshot, package, _ in self.specs}
        return {(*row, *(cells[(*row, value)] for value in columns)) for row in rows}

    def summary(self, axis):
        totals = self.group()
        rows = set()
        for (snapshot, value), specs in self.group(axis).items():
            packages = len({package for package, _ in specs})
            total = len({package for package, _ in totals[(snapshot,)]})
            rows.add((snapshot, value, packages, total, packages / total, len(specs)))
        return rows

    def pair(self, first, second):
        return {
            (*key, len({package for package, _ in specs}), len(specs))
            for key, specs in self.group(first, second).items()
        }

    def snapshots(self):
        order = ["v0.9", "v0.23.1", "develop-2025-01-05", "develop", "other"]
        kinds = {"develop": "develop", "develop-2025-01-05": "weekly", "other": "other"}
        there = [name for name in order if any(snapshot == name for snapshot, _ in self.pages)]
        return {
            (
                name,
                kinds.get(name, "release"),
                "2025-01-05" if name == "develop-2025-01-05" else None,
                position,
                len({package for snapshot, package, _ in self.specs if snapshot == name}),
                sum(snapshot == name for snapshot, _, _ in self.specs),
            )
            for position, name in enumerate(there, 1)
        }

    def spec_rows(self):
        rows = set()
        for snapshot, package, spec in self.specs:
            compiler = compiler_of(spec)
            size = None if spec["size"] == "-" else int(spec["size"])
            name, _, version = compiler.partition("@")
            source = f"_cache/{snapshot}/{package}/specs.md"
            rows.add(
                (
                    *(snapshot, package, spec["hash"], spec["versions"][0], version_key(spec["versions"][0])),
                    *(compiler, name, version or None, FAMILIES.get(name, name)),
                    *(spec["compiler"], spec["os"], spec["platform"], spec["target"], tuple(spec["variants"])),
                    *(size, spec.get("tarball"), source),
                    *(tuple(sorted(self.values(spec, "stack"))), "root" in spec["stacks"]),
                )
            )
        return rows

    def root_only(self):
        return {row[:-2] for row in self.spec_rows() if row[-2] == ()}

    def version_lag(self):
        rows = set()
        held = {
            key: {spec["versions"][0] for _, spec in specs} for key, specs in self.group("package", "stack").items()
        }
        for (snapshot, package, stack), versions in held.items():
            others = set().union(*(some for key, some in held.items() if key[:2] == (snapshot, package)))
            latest = newest(versions)
            behind = {version_key(one) for one in others if version_key(one) > version_key(latest)}
            rows.add((snapshot, package, stack, latest, newest(others), len(behind)))
        return rows

    def reuse(self):
        rows = set()
        for (snapshot, package), specs in self.group("package").items():
            counts = [len(self.values(spec, "stack")) for _, spec in specs]
            shared = sum(count > 1 for count in counts)
            rows.add((snapshot, package, len(specs), sum(counts), shared, sum(counts) / len(specs)))
        return rows

    def redundancy(self):
        rows = set()
        for (snapshot, package), specs in self.group("package").items():
            seen = {
                repr([spec[key] for key in ("versions", "compiler", "os", "platform", "target", "variants")])
                for _, spec in specs
            }
            rows.add((snapshot, package, len(specs), len(seen), len(specs) - len(seen)))
        return rows

    def gaps(self):
        held = {
            (snapshot, stack, spec["platform"], package)
            for snapshot, package, spec in self.specs
            for stack in self.values(spec, "stack")
        }
        rows = set()
        for snapshot, stack, platform in {row[:3] for row in held}:
            for package in {row[3] for row in held}:
                others = sorted(row[1] for row in held if row == (snapshot, row[1], platform, package))
                if others and stack not in others:
                    rows.add((snapshot, stack, package, platform, len(others), tuple(others)))
        return rows

    def mismatches(self):
        """Pages whose meta, counted over all of their records, is not that of the loaded ones."""
        return {
            (snapshot, package)
            for (snapshot, package), specs in self.pages.items()
            if len(specs) != sum((s, p) == (snapshot, package) for s, p, _ in self.specs)
        }


def rows_of(warehouse, view, columns="*"):
    TESTED.add(view)
    rows = ask(warehouse, f"select {columns} from {view}")
    made = [tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row) for row in rows]
    assert len(set(made)) == len(made), f"{view} repeats a row"
    return set(made)


keys = st.tuples(st.sampled_from(SNAPSHOTS), st.sampled_from(PACKAGES))


@settings(max_examples=30, deadline=None)
@given(pages=st.dictionaries(keys, unique_specs(), min_size=1, max_size=6))
def test_every_view_is_what_brute_force_counts(tmp_path_factory, pages):
    warehouse = build_pages(tmp_path_factory.mktemp("views"), pages)
    oracle = Oracle(pages)

    assert rows_of(warehouse, "snapshots", "* replace (cast(date as varchar) as date)") == oracle.snapshots()
    assert rows_of(warehouse, "specs") == oracle.spec_rows()
    assert rows_of(warehouse, "root_only_specs") == oracle.root_only()
    for axis in ("stack", "compiler", "target"):
        assert rows_of(warehouse, f"coverage_by_{axis}") == oracle.coverage(axis)
        assert rows_of(warehouse, f"matrix_by_{axis}") == oracle.matrix(axis)
        assert rows_of(warehouse, f"summary_by_{axis}") == oracle.summary(axis)
    for first, second in (("stack", "compiler"), ("stack", "target"), ("compiler", "target")):
        assert rows_of(warehouse, f"{first}_by_{second}") == oracle.pair(first, second)
    for view in ("version_lag", "reuse", "redundancy", "gaps"):
        assert rows_of(warehouse, view) == getattr(oracle, view)()
    assert {row[:2] for row in rows_of(warehouse, "meta_mismatches")} == oracle.mismatches()
    memberships = sum(len(spec["stacks"]) for _, _, spec in oracle.specs)
    assert ask(warehouse, "select count(*) from spec_stacks") == [(memberships,)]
    assert {view.name for view in VIEWS} == TESTED, "a view is not counted here"


def test_names_that_differ_by_case_alone_have_a_column_each(tmp_path):
    stacks = ["E4S", "e4s", "snapshot", 'a"b']
    warehouse = build_pages(tmp_path, {("develop", "p"): [make_spec(1, stacks=stacks), make_spec(2, stacks=["e4s"])]})

    assert ask(warehouse, 'select "E4S", e4s_2, snapshot_2, "a""b" from matrix_by_stack') == [(1, 2, 1, 1)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    warehouse = tmp_path_factory.mktemp("sample") / "warehouse"
    build([PAGES], warehouse, jobs=1)
    return warehouse


def test_the_sample_has_its_numbers(sample):
    assert ask(sample, "select count(*), count(distinct hash) from spec_stacks") == [(360, 157)]
    assert ask(sample, "select count(*) from rejects") == [(0,)]
    assert ask(sample, "select count(*) from meta_mismatches") == [(0,)]
    assert ask(sample, "select e4s, hep, tutorial from matrix_by_stack where package = 'py-wheel'") == [(6, 3, 2)]


def test_a_package_counts_its_hashes_once_and_its_memberships_without_root(sample):
    query = "select {} from spec_stacks where package = 'py-build'"

    assert ask(sample, query.format("count(distinct hash), count(*)")) == [(24, 57)]
    assert ask(sample, "select sum(num_specs) from coverage_by_stack where package = 'py-build'") == [(33,)]
    assert ask(sample, "select sum(num_specs) from coverage_by_target where package = 'py-build'") == [(24,)]


@pytest.mark.parametrize("page", sorted(PAGES.rglob("specs.md")), ids=lambda page: page.parent.name)
def test_the_matrices_agree_with_each_pages_own_meta(sample, page):
    meta = json.loads(re.search(r"^meta: (.*)$", page.read_text(), re.MULTILINE)[1])
    package, snapshot = page.parent.name, page.parent.parent.name
    where = f"where package = '{package}' and snapshot = '{snapshot}'"

    for stack, count in meta["num_specs_by_stack"].items():
        if stack != "root":
            assert ask(sample, f'select "{stack}" from matrix_by_stack {where}') == [(count,)]
    for axis in ("compiler", "target"):
        wide = [name for (name, *_) in ask(sample, f"describe matrix_by_{axis}")][2:]
        total = " + ".join(f'"{name}"' for name in wide)
        assert ask(sample, f"select {total} from matrix_by_{axis} {where}") == [(meta["num_specs"],)]
    assert {name for (name,) in ask(sample, f"select target from coverage_by_target {where}")} == set(meta["targets"])


@pytest.mark.parametrize(
    ("package", "redundant", "specs"),
    [("py-distlib", 54, 58), ("py-build", 17, 24), ("py-packaging", 21, 32), ("py-wheel", 30, 43)],
)
def test_the_sample_is_as_redundant_as_it_is_known_to_be(sample, package, redundant, specs):
    query = f"select redundant, specs from redundancy where package = '{package}'"

    assert ask(sample, query) == [(redundant, specs)]


def test_wide_cells_are_the_long_rows(sample):
    for axis in ("stack", "compiler", "target"):
        for snapshot, package, value, count in ask(
            sample, f"select snapshot, package, {axis}, num_specs from coverage_by_{axis}"
        ):
            query = f"select \"{value}\" from matrix_by_{axis} where snapshot = '{snapshot}' and package = '{package}'"
            assert ask(sample, query) == [(count,)]


def test_every_matrix_has_its_columns_in_text_order(sample):
    for view in VIEWS:
        if view.wide:
            names = [name for (name, *_) in ask(sample, f"describe {view.name}")]
            assert names[:2] == RELATIONS[view.name].names
            assert names[2:] == sorted(names[2:])
            assert "root" not in names
