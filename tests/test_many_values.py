"""A build ends in bounded memory, however many stacks, compilers, targets, versions or packages its sources name."""

import sys

import pytest

from pipeline.schema import AXES, MATRIX_COLUMNS
from tests.commands import measure_process
from tests.makers import ask, make_spec, write_pages

MOST_BYTES = 600 * 10**6
MANY, FEW = 20_000, 1_100
AXIS_VALUES = {
    "stack": lambda number: {"stacks": [f"s{number:05}", "root"]},
    "compiler": lambda number: {"compiler": f"gcc@11.{number:05}"},
    "target": lambda number: {"target": f"t{number:05}"},
    "version": lambda number: {"versions": [f"1.{number}"]},
    "os": lambda number: {"os": f"os{number:05}"},
    "platform": lambda number: {"platform": f"p{number:05}"},
    "variants": lambda number: {"variants": [f"v{number:05}=x"]},
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")


def make_many(count, names, packages=1):
    """Specs each with a value of its own of some axes; the first two values have a second spec each."""
    pages = {}
    for number in (*range(count), 0, 1):
        specs = pages.setdefault(("develop", f"p{number % packages:05}"), [])
        changes = {key: value for name in names for key, value in AXIS_VALUES[name](number).items()}
        specs.append(make_spec(len(specs) * packages + number % packages, **changes))
    return pages


def build_measured(folder, pages, seconds):
    write_pages(folder / "source", pages)
    done = measure_process(
        *("build", folder / "source", "--warehouse", folder / "warehouse", "--jobs", 2), folder=folder, seconds=seconds
    )
    assert done.returncode == 0, done.stderr
    assert done.peak < MOST_BYTES
    return done


def assert_cut(warehouse, axis, count, stderr):
    """A matrix has the values of the most specs, the warning names the others, and the long view has all."""
    columns = [name for (name, *_) in ask(warehouse, f"describe matrix_by_{axis}")]
    in_order = f"select distinct {axis} from coverage_by_{axis} order by {axis}"
    held = [value for (value,) in ask(warehouse, in_order)]
    assert columns == ["snapshot", "package", *held[:MATRIX_COLUMNS]]
    assert len(held) == count
    assert f"warning  matrix_by_{axis}_columns ({count - MATRIX_COLUMNS:,})" in stderr
    assert f"{axis}={held[MATRIX_COLUMNS]}, specs=" in stderr


@pytest.mark.slow
def test_more_values_than_a_matrix_has_columns_are_built_and_a_warning_names_what_has_none(tmp_path):
    done = build_measured(tmp_path, make_many(FEW, AXES), 100)

    assert done.stderr.count("warning") == len(AXES)
    for axis in AXES:
        assert_cut(tmp_path / "warehouse", axis, FEW, done.stderr)
    checked = measure_process("check", "--warehouse", tmp_path / "warehouse", folder=tmp_path)
    assert checked.returncode == 0
    assert checked.stdout.splitlines()[-1].endswith(", 0 failed, 3 with warnings")


@pytest.mark.slow
@pytest.mark.parametrize("packages", [1, 1_000, MANY], ids=lambda packages: f"{packages} pages")
@pytest.mark.parametrize("names", [*([name] for name in AXIS_VALUES), list(AXIS_VALUES)], ids=",".join)
def test_any_axis_may_have_many_values(tmp_path, names, packages):
    done = build_measured(tmp_path, make_many(MANY, names, packages), 300)

    for axis in set(names) & set(AXES):
        assert_cut(tmp_path / "warehouse", axis, MANY, done.stderr)
    assert ask(tmp_path / "warehouse", "select count(*) from specs") == [(MANY + 2,)]


@pytest.mark.slow
def test_a_spec_may_stand_in_many_stacks(tmp_path):
    spec = make_spec(stacks=[f"s{number:05}" for number in range(MANY)])
    done = build_measured(tmp_path, {("develop", "hdf5"): [spec]}, 300)

    assert_cut(tmp_path / "warehouse", "stack", MANY, done.stderr)
