"""The table macros, answered again by loops over the pages' records; and the shapes of real changes."""

import datetime as dt
import shutil

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ask.diff import Question, SnapshotDiff
from pipeline.build import build
from pipeline.layout import Layout
from pipeline.spack.hosts import STACK_LINEAGE
from pipeline.spack.variants import normalise_variants
from pipeline.store.database import open_database
from tests.makers import ask, build_pages, make_hash, make_spec, thorough, write_page, write_pages
from tests.test_sql_cases import load
from tests.test_views import Oracle, alike, compiler_of, family_of, runs
from tests.test_views import newest as newest_of

BROKEN = make_spec(31, hash="not a hash")
FROM, TO = "develop-2025-05-25", "develop-2025-06-01"

# Few values of each axis, so that specs are near each other.
near_specs = st.builds(
    make_spec,
    number=st.integers(0, 9),
    compiler=st.sampled_from(
        ["gcc@11.4.0", "gcc@=11.4.0", "gcc@12.3.0", "none", "oneapi@1", "intel-oneapi-compilers@1"]
    ),
    os=st.sampled_from(["ubuntu22.04", "rhel8"]),
    platform=st.sampled_from(["linux", "linux", "darwin"]),
    stacks=st.lists(st.sampled_from(["e4s", "e4s-arm", "e4s-neoverse_v1", "root"]), min_size=1, unique=True),
    target=st.sampled_from(["x86_64_v3", "x86_64_v4", "aarch64", "m2", "graviton2"]),
    variants=st.sampled_from([["+mpi"], ["~mpi"], ["-mpi"], ["k=a,b", "+mpi"], ["+mpi", "k:=b,a"]]),
    versions=st.sampled_from([["1.9"], ["1.10"], ["1.10-rc1"]]),
)
near_pages = st.lists(near_specs, max_size=6, unique_by=lambda spec: spec["hash"])


@st.composite
def two_snapshots(draw):
    """Pages of two snapshots: a page may be missing, or hold a spec that is rejected."""
    pages, broken = {}, set()
    hashes = iter(range(1000))
    for package in ("hdf5", "zlib"):
        numbers = {}
        for snapshot in (FROM, TO):
            if draw(st.sampled_from([True, True, True, False])):
                # The hashes of a package are its own, and partly the same in both snapshots.
                specs = draw(near_pages)
                for spec in specs:
                    number = numbers.setdefault(spec["hash"], next(hashes))
                    spec["hash"] = make_hash(number)
                pages[snapshot, package] = specs
                if draw(st.sampled_from([False] * 5 + [True])):
                    broken.add((snapshot, package))
    if not pages:
        pages[FROM, "hdf5"] = [make_spec(1)]
    return pages, broken


class Changes:
    """Differences between two snapshots, by loops over the specs that were loaded."""

    def __init__(self, pages, broken):
        self.oracle = Oracle(pages, {})
        self.whole = set(pages) - broken
        self.stacks = {key: {s for _, p, spec in self.of(key) for s in spec["stacks"]} for key in (FROM, TO)}

    def of(self, snapshot):
        return [one for one in self.oracle.specs if one[0] == snapshot]

    def known(self, snapshot, package):
        other = FROM if snapshot == TO else TO
        return (snapshot, package) in self.whole or (snapshot, other, package) in self.oracle.absences()

    def hash_diff(self):
        rows = set()
        for change, here, there in (("lost", FROM, TO), ("gained", TO, FROM)):
            others = {spec["hash"] for _, _, spec in self.of(there)}
            for _, package, spec in self.of(here):
                if spec["hash"] not in others and self.known(there, package):
                    rows.add((change, package, spec["hash"], tuple(self.held(spec))))
        return rows

    def held(self, spec):
        return sorted(stack for stack in spec["stacks"] if stack != "root")

    def configuration_diff(self):
        rows = set()
        for change, here, there in (("lost", FROM, TO), ("gained", TO, FROM)):
            others = {self.oracle.configuration(package, spec) for _, package, spec in self.of(there)}
            for row in self.oracle.configurations():
                if row[0] == here and self.known(there, row[1]):
                    configuration = row[1:8]
                    if not any(alike(configuration, other) for other in others):
                        rows.add((change, *row[1:]))
        return rows

    def stack_diff(self, places, what):
        first, second = ({self.spell(what, *one[1:]) for one in self.of(s) if t in one[2]["stacks"]} for s, t in places)

        def is_same(one, other):
            if what == "configuration":
                return alike(one[:7], other[:7])
            return one[-1] == other[-1] if what == "hash" else one == other

        def held(one, others):
            return any(is_same(one, other) for other in others)

        here = {("both" if held(one, second) else "a", *one) for one in first}
        return here | {("b", *one) for one in second if not held(one, first)}

    def spell(self, what, package, spec):
        if what == "package":
            return (package, *[None] * 7)
        return (*self.oracle.configuration(package, spec), spec["hash"] if what == "hash" else None)

    def lost(self):
        counts = {}
        for _, package, spec in self.of(FROM):
            for stack in self.held(spec):
                after = [(p, s) for _, p, s in self.of(TO) if stack in s["stacks"]]
                if spec["hash"] in {other["hash"] for _, other in after}:
                    continue
                cause, replaced_by = self.explain(package, spec, stack, after)
                key = (package, stack, spec["versions"][0], compiler_of(spec), spec["target"], cause, replaced_by)
                counts[key] = counts.get(key, 0) + 1
        return {(*key, count) for key, count in counts.items()}

    def explain(self, package, spec, stack, after):
        if not self.known(TO, package):
            return "source missing", None
        had = {p for _, p, one in self.of(FROM) if stack in one["stacks"]}
        if not after and 2 * sum(self.known(TO, p) for p in had) >= len(had):
            successors = [one.successor for one in STACK_LINEAGE if one.stack == stack]
            alive = [one for one in successors if one in self.stacks[TO]]
            return "stack removed", alive[0] if alive else None
        candidates = [other for p, other in after if p == package]
        if not candidates:
            return "package gone from the stack", None
        differing = [(self.differ(spec, other), other) for other in candidates]
        fewest = min(len(axes) for axes, _ in differing)
        if fewest == 0:
            return "unknown", None
        order = ["version", "compiler", "target", "os", "variant"]
        axis = min((axes[0] for axes, _ in differing if len(axes) == fewest), key=order.index)
        near = [other for axes, other in differing if len(axes) == fewest and axes[0] == axis]
        newest = newest_of({other["versions"][0] for other in near})
        return f"{axis} replaced", max(self.value(one, axis) for one in near if one["versions"][0] == newest)

    def value(self, spec, axis):
        return {
            "version": spec["versions"][0],
            "compiler": compiler_of(spec),
            "target": spec["target"],
            "os": f"{spec['os']} {spec['platform']}",
            "variant": normalise_variants(spec["variants"]),
        }[axis]

    def differ(self, one, other):
        """The axes in which specs differ, in the order in which they are named."""
        compilers = {(family_of(spec), compiler_of(spec).partition("@")[2]) for spec in (one, other)}
        same = len(compilers) == 1 or "none" in {family_of(one), family_of(other)}
        axes = ["version"] if one["versions"] != other["versions"] else []
        axes += [] if same else ["compiler"]
        return axes + [axis for axis in ("target", "os", "variant") if self.value(one, axis) != self.value(other, axis)]

    def usable_on(self, host):
        rows = set()
        platform = "darwin" if host in ("m1", "m2") else "linux"
        for snapshot, _, spec in self.oracle.specs:
            target = spec["target"]
            if spec["platform"] != platform:
                continue
            if target == host:
                rows.add((snapshot, spec["hash"], "exact"))
            elif "graviton2" in (target, host):
                rows.add((snapshot, spec["hash"], "unresolved"))
            elif runs(target, host):
                rows.add((snapshot, spec["hash"], "ancestor"))
        return rows


def rows_of(connection, query):
    rows = connection.execute(query).fetchall()
    made = [tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row) for row in rows]
    assert len(set(made)) == len(made), f"{query} repeats a row"
    return set(made)


def turn(rows):
    return {("gained" if row[0] == "lost" else "lost", *row[1:]) for row in rows}


@pytest.mark.slow
@thorough(5, 60)
@given(two_snapshots())
def test_every_macro_is_what_brute_force_finds(tmp_path_factory, made):
    pages, broken = made
    changes = Changes(pages, broken)
    written = {key: [*specs, BROKEN] if key in broken else specs for key, specs in pages.items()}
    metas = {key: {} for key in written}
    warehouse = build_pages(tmp_path_factory.mktemp("changes"), written, metas)
    between, back = f"('{FROM}', '{TO}')", f"('{TO}', '{FROM}')"

    with open_database(Layout(warehouse)) as connection:

        def rows(query):
            return rows_of(connection, query)

        hashes = rows(f"select change, package, hash, stacks from hash_diff{between}")
        configurations = rows(f"from configuration_diff{between}")
        assert hashes == changes.hash_diff()
        assert configurations == changes.configuration_diff()
        assert rows(f"from lost{between}") == changes.lost()
        for places in (((FROM, "e4s"), (TO, "e4s")), ((FROM, "root"), (FROM, "e4s-arm")), ((TO, "e4s"), (TO, "none"))):
            arguments = ", ".join(f"'{one}'" for place in places for one in place)
            columns = "held_by, package, version, compiler_family, os, platform, target, variants, hash"
            for what in ("package", "configuration", "hash"):
                found = rows(f"select {columns} from stack_diff({arguments}) where what = '{what}'")
                assert found == changes.stack_diff(places, what)
        # What is lost one way is gained the other.
        assert rows(f"select change, package, hash, stacks from hash_diff{back}") == turn(hashes)
        assert rows(f"from configuration_diff{back}") == turn(configurations)
        assert rows(f"from hash_diff('{TO}', '{TO}')") == set()
        assert rows(f"from configuration_diff('{TO}', '{TO}')") == set()
        for host in ("zen4", "zen3", "neoverse_v2", "m2", "graviton2"):
            found = rows(f"select snapshot, hash, target_match from usable_on('{host}')")
            assert found == changes.usable_on(host)
        assert rows("select distinct libc from usable_on('zen4')") <= {("unknown",)}


def test_a_rebuild_changes_every_hash_and_one_configuration(tmp_path):
    """As zlib-ng's pages of develop did from 2025-05-25 to 06-01: 31 hashes, then 32 others."""
    stacks = ["e4s", "hep", "radiuss", "tutorial", "data-vis-sdk", "ml-linux-x86_64-cpu", "ml-linux-x86_64-cuda"]

    def make_build(number, first):
        return make_spec(
            first + number,
            versions=[f"2.{number % 3}.0"],
            compiler=("gcc@=11.4.0", "gcc@11.4.0")[first > 0],
            stacks=[stacks[number % len(stacks)], "root"],
            variants=["+compat", "build_system=autotools" if number % 2 else "build_system:=cmake"],
        )

    before = [make_build(number, 0) for number in range(31)]
    after = [make_build(number, 100) for number in range(31)]
    gained = make_spec(500, versions=["2.2.4"], stacks=["developer-tools-darwin"], os="sequoia", platform="darwin")
    warehouse = build_pages(tmp_path, {(FROM, "zlib-ng"): before, (TO, "zlib-ng"): [*after, gained]})

    query = "select count(*) filter (change = 'lost'), count(*) filter (change = 'gained') from {}"
    assert ask(warehouse, query.format(f"hash_diff('{FROM}', '{TO}')")) == [(31, 32)]
    kept = f"select count(*) from specs a join specs b using (hash) where (a.snapshot, b.snapshot) = ('{FROM}', '{TO}')"
    assert ask(warehouse, kept) == [(0,)]
    assert ask(warehouse, query.format(f"configuration_diff('{FROM}', '{TO}')")) == [(0, 1)]
    assert ask(warehouse, f"select version, stacks from configuration_diff('{FROM}', '{TO}')") == [
        ("2.2.4", ["developer-tools-darwin"])
    ]
    assert ask(warehouse, f"select cause, sum(specs) from lost('{FROM}', '{TO}') group by all") == [("unknown", 31)]


def test_a_page_that_fails_to_load_loses_nothing(tmp_path):
    pages = {(snapshot, package): [make_spec(number)] for snapshot in (FROM, TO) for number, package in enumerate("ab")}
    source = write_pages(tmp_path / "source", pages)
    write_page(source, "", f"_cache/{TO}/b/specs.md")
    build([source], tmp_path / "warehouse", jobs=1)

    assert ask(tmp_path / "warehouse", "select count(*) from rejects") == [(1,)]
    for macro in ("hash_diff", "configuration_diff"):
        assert ask(tmp_path / "warehouse", f"from {macro}('{FROM}', '{TO}')") == []
    assert ask(tmp_path / "warehouse", f"select package, cause from lost('{FROM}', '{TO}')") == [
        ("b", "source missing")
    ]


def test_what_an_incremental_build_adds_is_there_too(tmp_path):
    """Tables that come from no source are made anew with what a build adds: here a list of variants."""
    source = write_pages(tmp_path / "source", {(FROM, "a"): [make_spec(1)]})
    build([source], tmp_path / "warehouse", jobs=1)
    write_pages(source, {(TO, "a"): [make_spec(2, variants=["+new"])]})
    summary = build([source], tmp_path / "warehouse", jobs=1)

    assert summary.rebuilt == 1
    gained = ask(tmp_path / "warehouse", f"select change, variants from configuration_diff('{FROM}', '{TO}')")
    assert sorted(gained) == [("gained", "+new"), ("lost", "build_system=cmake ~cuda +mpi")]
    shutil.rmtree(source / "_cache" / FROM)
    build([source], tmp_path / "warehouse", jobs=1)
    assert ask(tmp_path / "warehouse", "from variant_sets") == [(["+new"], "+new")]
    assert ask(tmp_path / "warehouse", "select count(*) > 300 from targets") == [(True,)]


OLD_VARIANTS = ["+mpi", "~shared", "build_type=Release", 'note="a \\" b"', "langs=c,cxx"]
NEW_VARIANTS = ["langs:=cxx,c", "~mpi", "+tools", "~shared", 'note="a \\" c"', "build_type=Release"]


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        (NEW_VARIANTS, (["+mpi", OLD_VARIANTS[3]], ["~mpi", NEW_VARIANTS[4], "+tools"])),
        ([], (sorted(OLD_VARIANTS, key=lambda text: text.lstrip("+~")), [])),
    ],
)
def test_of_replaced_variants_those_that_differ_are_kept(tmp_path, variants, expected):
    # Of two configurations one is built again as it was: only the other was replaced.
    held = {
        ("develop-2025-03-16", "zlib"): [make_spec(1, variants=OLD_VARIANTS), make_spec(2, variants=["+z"])],
        ("develop-2025-03-23", "zlib"): [make_spec(3, variants=variants), make_spec(4, variants=["+z"])],
    }
    if not variants:  # the nearest is that without any, where there is no other
        held = {place: specs[:1] for place, specs in held.items()}
    warehouse = build_pages(tmp_path, held)
    rows = ask(warehouse, "select cause, variants_lost, variants_gained, specs from changes order by all")
    others = [row for row in rows if row[0] != "variant replaced"]

    assert [row for row in rows if row[0] == "variant replaced"] == [("variant replaced", *expected, 1)]
    assert [row[1:3] for row in others] == [(None, None)] * bool(variants)


@pytest.mark.parametrize(
    ("host", "target", "match"),
    [
        *(("zen4", target, "ancestor") for target in ("x86_64_v4", "x86_64_v3", "x86_64_v2")),
        ("zen3", "x86_64_v4", None),
        ("neoverse_v2", "neoverse_v1", None),
        *((host, "graviton2", "unresolved") for host in ("zen4", "neoverse_v2")),
    ],
)
def test_a_host_takes_its_ancestors(tmp_path, host, target, match):
    warehouse = build_pages(tmp_path, {("develop", "a"): [make_spec(1, target=target)]})

    expected = [(match, "unknown")] if match else []
    assert ask(warehouse, f"select target_match, libc from usable_on('{host}')") == expected
    counted = ask(warehouse, f"select num_specs from coverage_by_host where host_target = '{host}'")
    assert counted == ([(1,)] if match == "ancestor" else [])


def test_a_missing_week_is_a_gap_and_no_zero(tmp_path):
    days = ["2025-05-25", "2025-06-01", "2025-07-13"]
    warehouse = build_pages(tmp_path, {(f"develop-{day}", "a"): [make_spec(1)] for day in days})
    rows = ask(
        warehouse,
        "select date, snapshot, packages, coverage from coverage_trend where axis = 'target' order by position",
    )

    assert [row for row in rows if row[1]] == [(dt.date.fromisoformat(day), f"develop-{day}", 1, 1.0) for day in days]
    missed = [dt.date(2025, 6, 8) + dt.timedelta(7 * week) for week in range(5)]
    assert [row for row in rows if not row[1]] == [(day, None, None, None) for day in missed]


namespaces = st.lists(
    st.tuples(st.sampled_from(["1.9", "1.10"]), st.sampled_from([None, "builtin", "site"])), max_size=4
)


def resolve(given, *sides):
    """The namespace that counts where ``sides`` are compared: the package's only one where none is given."""
    known = {namespace for side in sides for _, namespace in side} - {None}
    return min(known) if given is None and len(known) == 1 else given


def configure(side, *sides):
    return {(version, resolve(namespace, *sides)) for version, namespace in side}


@pytest.mark.slow
@thorough(4, 40)
@given(namespaces, namespaces)
def test_a_namespace_is_part_of_a_configuration_wherever_some_are_compared(before, after):
    rows = [
        {"snapshot": snapshot, "hash": f"{snapshot}{number}", "version": version, "namespace": namespace}
        for snapshot, side in ((FROM, before), (TO, after))
        for number, (version, namespace) in enumerate(side)
    ]
    pages = [{"snapshot": FROM}, {"snapshot": TO}]
    one, two = configure(before, before, after), configure(after, before, after)
    with duckdb.connect() as connection:
        load(connection, {"spec_stacks": rows, "pages": pages})

        def ask(query):
            return set(connection.execute(query).fetchall())

        found = ask(f"select change, version, namespace from configuration_diff('{FROM}', '{TO}')")
        counted = {what[:2]: what[-1] for what in SnapshotDiff(connection, Question(FROM, TO)).summary.totals}
        survived = ask("select configurations, configurations_survived from survival")
        redundant = ask("select snapshot, redundant from redundancy")
        held = ask("select snapshot, version, namespace from configurations")
        lost = ask(f"select version, cause from lost('{FROM}', '{TO}')")

    assert found == {("lost", *each) for each in one - two} | {("gained", *each) for each in two - one}
    assert counted["configurations", "kept"] == len(one & two)
    assert counted["configurations", "lost"] == len(one - two)
    if rows:
        assert not survived or survived == {(len(one), len(one & two))}
    sides = {FROM: before, TO: after}
    assert redundant == {(key, len(side) - len(configure(side, side))) for key, side in sides.items() if side}
    assert held == {(key, *each) for key, side in sides.items() for each in configure(side, side)}
    unchanged = {version for version, _ in one & two}
    assert {version for version, cause in lost if cause == "unknown"} == unchanged
    spaces = {namespace for _, namespace in two}
    assert {version for version, cause in lost if cause == "namespace replaced"} == (
        {version for version, namespace in one if namespace not in spaces} if two else set()
    )
