"""Pinned dependencies are names, versions and hashes: no address of a registry or of anything else."""

from pathlib import Path

import pytest

LOCKS = Path(__file__).parents[1] / "requirements"
PINNED = sorted(path for path in LOCKS.rglob("*") if path.suffix in (".txt", ".json"))


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.relative_to(LOCKS).as_posix())
def test_a_lock_has_no_address(path):
    assert "://" not in path.read_text()


def test_every_lock_has_hashes():
    assert {path.name: "sha256:" in path.read_text() for path in PINNED if path.suffix == ".txt"} == {
        path.name: True for path in PINNED if path.suffix == ".txt"
    }
    assert '"integrity": "sha512-' in (LOCKS / "duckdb-wasm" / "package-lock.json").read_text()
