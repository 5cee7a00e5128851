"""A build's checks see all that it wrote, in one part or in many."""

import threading

import duckdb
import pytest

from pipeline.build import build
from pipeline.errors import WarehouseError
from pipeline.layout import Layout
from pipeline.store import checks, database
from pipeline.store.state import load_state
from tests.makers import build_pages, make_spec
from tests.test_cli import ENDLESS

PAGES = {
    (f"v{number}", "p"): [make_spec(number, **({"new": 1} if number % 2 else {})), make_spec(number + 100)]
    for number in range(6)
}


@pytest.mark.slow
@pytest.mark.parametrize("part_rows", [1, 5, 10**6])
def test_parts_find_what_the_whole_holds(tmp_path, monkeypatch, part_rows):
    monkeypatch.setattr(database, "PART_ROWS", part_rows)
    warehouse = build_pages(tmp_path, PAGES)
    current = Layout(warehouse).current
    with duckdb.connect() as connection:
        connection.execute(f"attach '{current.database}' as warehouse (read_only)")
        found = checks.run_build_checks(connection, load_state(current)[0].snapshots, whole=True)

    assert {check.name: check.offenders for check in found if check.offenders} == {"unknown_keys": 3}
    assert len(next(check for check in found if check.name == "unknown_keys").rows) == 3


def test_why_no_view_can_be_made_is_reported_and_not_waited_with(tmp_path, monkeypatch):
    def fail(connection):
        assert checking.wait(60)
        raise duckdb.IOException("IO Error: No space left on device")

    def check_for_ever(connection, checks):
        checking.set()
        connection.execute(ENDLESS)

    checking = threading.Event()
    monkeypatch.setattr(database, "create_views", fail)
    monkeypatch.setattr("pipeline.store.checks.run_checks", check_for_ever)
    monkeypatch.setattr(checks, "FEW_ROWS", -1)
    with pytest.raises(WarehouseError, match="No space left on device"):
        build_pages(tmp_path, PAGES)
    assert list(tmp_path.glob("warehouse/.builds/*")) == []


@pytest.mark.slow
def test_a_file_that_was_changed_is_not_taken_over(tmp_path):
    warehouse = build_pages(tmp_path, PAGES)
    current = Layout(warehouse).current
    with duckdb.connect(str(current.database)) as connection:
        connection.execute("insert into stored_specs from stored_specs where snapshot = 'v3' limit 1")

    assert load_state(current) == (None, [])
    assert build([tmp_path / "source"], warehouse, jobs=1).rebuilt == 6
    assert load_state(Layout(warehouse).current)[0].failed == []
