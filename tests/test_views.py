"""Every view, counted again by brute force in plain Python over generated pages."""

import datetime as dt
import itertools
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import archspec.cpu
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.layout import Layout
from pipeline.schema import AXES, META_LISTS, describe_wide
from pipeline.spack.hosts import WELL_KNOWN_HOSTS
from pipeline.spack.variants import normalise_variants
from pipeline.spack.versions import version_key
from pipeline.store.checks import run_checks
from pipeline.store.database import open_database
from tests import makers
from tests.makers import ask, build_pages, count_meta, make_hash, make_spec, thorough
from tests.test_sql_cases import RELATIONS, VIEWS

PAGES = Path(__file__).parent / "data" / "pages"
SNAPSHOTS = [
    *("develop", "develop-2025-01-05", "develop-2024-02-29", "develop-2025-02-29", "develop-2025-13-45"),
    *("v0.9", "v0.23.1", "v0.18", "v0.18.1", "v2025.11.0", "v1.0-rc1", "other", "Other", "a'b"),
]
PACKAGES = ["hdf5", "py-wheel", "<script>", "a'b", "snapshot", "ü"]
TESTED = set()
SAID_BY_INDEXES = (None, None, None, False, None, None, None)
"""What a page says of libc, whether it says it, of the recipe, the splice and of what installs."""
FAMILIES = {"clang": "llvm", "oneapi": "intel-oneapi-compilers"}


def kind_of(snapshot):
    if snapshot == "develop":
        return "develop"
    if snapshot.startswith("v") and all(part.isdigit() for part in snapshot[1:].split(".")):
        return "release"
    return "weekly" if date_of(snapshot) else "other"


def date_of(snapshot):
    try:
        return dt.datetime.strptime(snapshot, "develop-%Y-%m-%d").date()
    except ValueError:
        return None


def place_of(snapshot):
    """What snapshots are ordered by."""
    kind = kind_of(snapshot)
    numbers = [int(part) for part in snapshot[1:].split(".")] if kind == "release" else []
    return ["release", "weekly", "develop", "other"].index(kind), numbers, snapshot


def spell(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def compiler_of(spec):
    return spec["compiler"].replace("@=", "@")


def newest(versions):
    """The newest version in Spack's order; of those that are equal there, the later in text order."""
    return max(versions, key=lambda version: (version_key(version), version))


def family_of(spec):
    name = spec["compiler"].partition("@")[0]
    return FAMILIES.get(name, name)


def runs(target, host):
    """Whether archspec itself has the target among the host's ancestors."""
    return target == host or target in {one.name for one in archspec.cpu.TARGETS[host].ancestors}


def week_of(date):
    """The Sunday of a date's week."""
    return date + dt.timedelta(7 - date.isoweekday())


def share(part, whole):
    return part / whole if whole else None


def size_of(spec):
    return None if spec["size"] == "-" else int(spec["size"])


class Oracle:
    """The views, by loops over the pages' own records."""

    def __init__(self, pages, metas):
        self.specs = []  # (snapshot, package, spec): a hash counts once in a snapshot, for the first package
        self.pages = pages
        self.metas = metas
        self.whole = set(pages)  # pages of which every spec was loaded
        seen = set()
        for (snapshot, package), specs in sorted(pages.items()):
            for spec in specs:
                if (snapshot, spec["hash"]) not in seen:
                    seen.add((snapshot, spec["hash"]))
                    self.specs.append((snapshot, package, spec))
                else:
                    self.whole.discard((snapshot, package))

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

    def columns(self, axis):
        return sorted({value for _, _, spec in self.specs for value in self.values(spec, axis)})

    def matrix(self, axis):
        cells = Counter()
        for snapshot, package, spec in self.specs:
            for value in self.values(spec, axis):
                cells[snapshot, package, value] += 1
        rows = {(snapshot, package) for snapshot, package, _ in self.specs}
        return {(*row, *(cells[(*row, value)] for value in self.columns(axis))) for row in rows}

    def summary(self, axis):
        totals = self.group()
        rows = set()
        for (snapshot, value), specs in self.group(axis).items():
            packages = len({package for package, _ in specs})
            measured = [
                package
                for package, spec in totals[(snapshot,)]
                if axis != "compiler" or value == "none" or compiler_of(spec) != "none"
            ]
            total = len(set(measured))
            sizes = [size for size in (size_of(spec) for _, spec in specs) if size is not None]
            sized = (sum(sizes) if sizes else None, len(sizes))
            installs = (None, 0)  # Pages do not say what is needed.
            rows.add((snapshot, value, packages, total, packages / total, len(specs), *sized, *installs))
        return rows

    def pair(self, first, second):
        return {
            (*key, len({package for package, _ in specs}), len(specs))
            for key, specs in self.group(first, second).items()
        }

    def snapshots(self):
        return {
            (
                name,
                kind_of(name),
                date_of(name),
                position,
                len({package for snapshot, package, _ in self.specs if snapshot == name}),
                sum(snapshot == name for snapshot, _, _ in self.specs),
            )
            for position, name in enumerate(sorted({snapshot for snapshot, _ in self.pages}, key=place_of), 1)
        }

    def spec_rows(self):
        rows = set()
        for snapshot, package, spec in self.specs:
            compiler = compiler_of(spec)
            size = size_of(spec)
            name, _, version = compiler.partition("@")
            source = f"_cache/{snapshot}/{package}/specs.md"
            rows.add(
                (
                    *(snapshot, package, spec["hash"], spec["versions"][0], version_key(spec["versions"][0])),
                    *(compiler, name, version or None, FAMILIES.get(name, name)),
                    *(spec["compiler"], None, spec["os"], spec["platform"], spec["target"], tuple(spec["variants"])),
                    *(size, spec.get("tarball"), None, None, None, None, source),
                    *(tuple(sorted(self.values(spec, "stack"))), "root" in spec["stacks"]),
                    *SAID_BY_INDEXES,
                )
            )
        return rows

    def root_only(self):
        end = -len(SAID_BY_INDEXES)
        return {row[: end - 2] for row in self.spec_rows() if row[end - 2] == ()}

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

    def calendar(self):
        """Every snapshot, and every week without one between two weekly snapshots."""
        slots = defaultdict(list)
        for name in sorted({snapshot for snapshot, _ in self.pages}, key=place_of):
            slots[kind_of(name)].append((date_of(name), name))
        weeks = {week_of(date) for date, _ in slots["weekly"]}
        missed = min(weeks, default=None)
        while missed is not None and missed < max(weeks):
            missed += dt.timedelta(7)
            if missed not in weeks:
                slots["weekly"].append((missed, None))
        slots["weekly"].sort(key=lambda slot: slot[0])
        return {(series, position, *slot) for series, some in slots.items() for position, slot in enumerate(some, 1)}

    def configuration(self, package, spec):
        values = (spec[key] for key in ("os", "platform", "target"))
        return package, spec["versions"][0], family_of(spec), *values, normalise_variants(spec["variants"])

    def configurations(self):
        groups = defaultdict(list)
        for snapshot, package, spec in self.specs:
            groups[(snapshot, *self.configuration(package, spec))].append(spec)
        return {
            # The last is the namespace, which no page has.
            (*key, len(specs), tuple(sorted({stack for spec in specs for stack in self.values(spec, "stack")})), None)
            for key, specs in groups.items()
        }

    def loaded_sources(self):
        return {(*key, None) for key in self.whole}

    def absences(self):
        """What a snapshot has no page of, though it has pages of at least half of another's packages."""
        packages = defaultdict(set)
        for snapshot, package in self.pages:
            packages[snapshot].add(package)
        return {
            (snapshot, other, package)
            for snapshot, here in packages.items()
            for other, there in packages.items()
            if len(here & there) * 2 >= len(there)
            for package in there - here
        }

    def coverage_by_host(self):
        counts = Counter()
        for snapshot, package, spec in self.specs:
            for host in WELL_KNOWN_HOSTS:
                if spec["platform"] == host.platform and runs(spec["target"], host.target):
                    counts[snapshot, package, host.target] += 1
        return {(*key, count) for key, count in counts.items()}

    def coverage_trend(self):
        calendar = sorted(self.calendar())
        states = self.stack_state()
        rows = set()
        for axis in AXES:
            totals = {snapshot: Counter() for snapshot, _ in self.pages}
            for snapshot, packages in self.group().items():
                compiled = {package for package, spec in packages if compiler_of(spec) != "none"}
                totals[snapshot[0]].update(all=len({package for package, _ in packages}), compiled=len(compiled))
            summary = {(snapshot, value): rest for snapshot, value, *rest in self.summary(axis)}
            for value in {value for _, value in summary}:
                begun = set()
                for series, position, date, snapshot in calendar:
                    begun |= {series} if (snapshot, value) in summary else set()
                    if series not in begun:
                        continue
                    head = (series, position, date, snapshot, axis, value)
                    if snapshot is None:
                        rows.add((*head, None, None, None, None))
                        continue
                    kind = "compiled" if axis == "compiler" and value != "none" else "all"
                    packages, _, _, specs, *_ = summary.get((snapshot, value), (0, 0, 0, 0))
                    total = totals[snapshot][kind]
                    if axis == "stack" and (snapshot, value, "unknown") in states:
                        rows.add((*head, None, total, None, None))
                    else:
                        rows.add((*head, packages, total, share(packages, total), specs))
        return rows

    def held_packages(self):
        """By snapshot and stack the packages that it holds."""
        held = defaultdict(set)
        for snapshot, package, spec in self.specs:
            for stack in self.values(spec, "stack"):
                held[snapshot, stack].add(package)
        return held

    def chains(self):
        """The snapshots of each series, the oldest first; develop comes after the weekly ones."""
        names = [row[3] for row in sorted(self.calendar(), key=lambda row: (row[0] == "develop", *row[:2])) if row[3]]
        chains = defaultdict(list)
        for name in names:
            chains["weekly" if kind_of(name) == "develop" else kind_of(name)].append(name)
        return list(chains.values())

    def previous_snapshots(self):
        return {(after, before, 0) for chain in self.chains() for before, after in itertools.pairwise(chain)}

    def loss_heads(self):
        """Of pages no dependencies are known: each package is its own head, if its page proves that it is gone."""
        held = self.held_packages()
        known = {(snapshot, package) for snapshot, package, _ in self.loaded_sources()}
        absent = self.absences()
        return {
            (before, after, stack, package, package)
            for after, before, _ in self.previous_snapshots()
            for (snapshot, stack), packages in list(held.items())
            for package in packages - held[after, stack]
            if snapshot == before and ((after, package) in known or (after, before, package) in absent)
        }

    def summary_by_libc(self):
        rows = defaultdict(list)
        for snapshot, package, _ in self.specs:
            rows[snapshot].append(package)
        return {(snapshot, "unknown", len(set(found)), len(found)) for snapshot, found in rows.items()}

    def summary_by_missing(self):
        """Pages do not say what is missing."""
        return set()

    def stack_state(self):
        """A stack that is not there was removed if half of its packages before are known to be without it."""
        held = self.held_packages()
        rows = set()
        for stack in {stack for _, stack in held}:
            for chain in self.chains():
                last = None
                for snapshot in chain:
                    state = "not begun"
                    if held[snapshot, stack]:
                        state, last = "held", snapshot
                    elif last is not None:
                        absent = {package for *pair, package in self.absences() if pair == [snapshot, last]}
                        known = absent | {package for name, package in self.whole if name == snapshot}
                        packages = held[last, stack]
                        state = "removed" if len(packages & known) * 2 >= len(packages) else "unknown"
                    rows.add((snapshot, stack, state))
        return rows

    def stack_absences(self):
        """Pages are of every stack."""
        return set()

    def survival(self):
        rows = set()
        for series in ("weekly", "release"):
            names = [row[3] for row in sorted(self.calendar()) if row[0] == series and row[3]]
            for earlier, later in itertools.pairwise(names):
                absent = {package for *pair, package in self.absences() if pair == [later, earlier]}
                known = absent | {package for snapshot, package in self.whole if snapshot == later}
                before = [(p, s) for snapshot, p, s in self.specs if snapshot == earlier and p in known]
                after = [(p, s) for snapshot, p, s in self.specs if snapshot == later]
                hashes = {spec["hash"] for _, spec in after}
                survived = sum(spec["hash"] in hashes for _, spec in before)
                configurations = {self.configuration(*one) for one in before}
                others = {self.configuration(*one) for one in after}
                kept = sum(any(alike(one, other) for other in others) for one in configurations)
                weeks = (date_of(later) - date_of(earlier)).days // 7 if series == "weekly" else None
                rows.add(
                    (
                        *(series, later, earlier, weeks),
                        *(len(before), survived, share(survived, len(before))),
                        *(len(configurations), kept, share(kept, len(configurations))),
                    )
                )
        return rows

    def mismatches(self):
        """Where a page's meta is not what its loaded specs give; a null says nothing."""
        rows = set()
        for key, meta in self.metas.items():
            found = count_meta(spec for *of, spec in self.specs if tuple(of) == key)
            for field, said in meta.items():
                if said is None:
                    continue
                if not is_well_typed(field, said):
                    rows.add((*key, field, spell(said), "is of a wrong type"))
                elif field == "num_specs_by_stack":
                    for stack in {*said, *found[field]}:
                        there, here = said.get(stack, 0), found[field].get(stack, 0)
                        if there != here:
                            rows.add((*key, field, f"{stack}: {there}", f"{stack}: {here}"))
                else:
                    said = said if field == "num_specs" else sorted(set(said))
                    if said != found[field]:
                        rows.add((*key, field, spell(said), spell(found[field])))
        return rows


def alike(one, other):
    """Whether configurations are the same but for a compiler that one has not."""
    families = {one[2], other[2]}
    return (*one[:2], *one[3:]) == (*other[:2], *other[3:]) and (len(families) == 1 or "none" in families)


def is_well_typed(field, value):
    if field == "num_specs":
        return isinstance(value, int)
    if field == "num_specs_by_stack":
        return isinstance(value, dict) and all(isinstance(count, int) for count in value.values())
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def rows_of(connection, view):
    TESTED.add(view)
    rows = connection.execute(f"select * from {view}").fetchall()
    made = [tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row) for row in rows]
    assert len(set(made)) == len(made), f"{view} repeats a row"
    return set(made)


def comments_of(connection, view):
    query = "select comment from duckdb_columns() where table_name = ? order by column_index"
    return [comment for (comment,) in connection.execute(query, [view]).fetchall()]


OVER_TIME = (
    "stack_state",
    "stack_absences",
    "calendar",
    "configurations",
    "loaded_sources",
    "absences",
    "coverage_by_host",
    "coverage_trend",
    "survival",
    "previous_snapshots",
    "loss_heads",
    "summary_by_libc",
    "summary_by_missing",
)

# Few hashes, so that packages and snapshots share them.
few_specs = st.lists(
    st.tuples(makers.specs, st.integers(0, 12)).map(lambda made: {**made[0], "hash": make_hash(made[1])}),
    max_size=6,
    unique_by=lambda spec: spec["hash"],
)
keys = st.tuples(st.sampled_from(SNAPSHOTS), st.sampled_from(PACKAGES))
# What a page may say wrongly of itself; a field that is ``...`` is left out.
lies = st.fixed_dictionaries(
    {},
    optional={
        "num_specs": st.sampled_from([0, 1, 2**40, -1, "2", None, ...]),
        "num_specs_by_stack": st.dictionaries(makers.names, st.integers(0, 2), max_size=3)
        | st.sampled_from([[1], {"e4s": "1"}, None, ...]),
        **{
            name: st.lists(makers.texts | makers.names, max_size=3) | st.sampled_from(["x", [1], {}, None, ...])
            for name in META_LISTS
        },
    },
)


def apply_lies(specs, lies):
    return {field: value for field, value in {**count_meta(specs), **lies}.items() if value is not ...}


@pytest.mark.slow
@thorough(3, 30)
@given(st.dictionaries(keys, st.tuples(few_specs, lies), min_size=1, max_size=6))
def test_every_view_is_what_brute_force_counts(tmp_path_factory, made):
    pages = {key: specs for key, (specs, _) in made.items()}
    metas = {key: apply_lies(specs, lies) for key, (specs, lies) in made.items()}
    warehouse = build_pages(tmp_path_factory.mktemp("views"), pages, metas)
    oracle = Oracle(pages, metas)

    with open_database(Layout(warehouse)) as connection:
        assert rows_of(connection, "snapshots") == oracle.snapshots()
        assert rows_of(connection, "specs") == oracle.spec_rows()
        assert rows_of(connection, "root_only_specs") == oracle.root_only()
        for axis in AXES:
            assert rows_of(connection, f"coverage_by_{axis}") == oracle.coverage(axis)
            assert rows_of(connection, f"matrix_by_{axis}") == oracle.matrix(axis)
            columns = [describe_wide(axis, value) for value in oracle.columns(axis)]
            assert comments_of(connection, f"matrix_by_{axis}")[2:] == columns
            assert rows_of(connection, f"summary_by_{axis}") == oracle.summary(axis)
        for first, second in (("stack", "compiler"), ("stack", "target"), ("compiler", "target")):
            assert rows_of(connection, f"{first}_by_{second}") == oracle.pair(first, second)
        for view in ("version_lag", "reuse", "redundancy", "gaps", *OVER_TIME):
            assert rows_of(connection, view) == getattr(oracle, view)()
        assert rows_of(connection, "meta_mismatches") == oracle.mismatches()
        memberships = sum(len(spec["stacks"]) for _, _, spec in oracle.specs)
        assert connection.execute("select count(*) from spec_stacks").fetchall() == [(memberships,)]
        assert {view.name for view in VIEWS} == TESTED, "a view is not counted here"
        assert [check.name for check in run_checks(connection) if check.failed] == []


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
    stacks = {name for (name,) in ask(sample, f"select stack from coverage_by_stack {where}")}
    assert stacks == set(meta["stacks"]) - {"root"}


@pytest.mark.parametrize(
    ("package", "redundant", "specs"),
    [("py-distlib", 54, 58), ("py-build", 17, 24), ("py-packaging", 21, 32), ("py-wheel", 30, 43)],
)
def test_the_sample_is_as_redundant_as_it_is_known_to_be(sample, package, redundant, specs):
    query = f"select redundant, specs from redundancy where package = '{package}'"

    assert ask(sample, query) == [(redundant, specs)]


@pytest.mark.slow
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
