"""Write down the promise of the schema's version of now: ``python -m tests.promise``.

A version that was published stays as it is: raise :data:`pipeline.catalog.promise.SCHEMA` first.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from pipeline.build import build
from pipeline.catalog.promise import PROMISES, SCHEMA, Promise, describe_schema
from pipeline.layout import Layout
from pipeline.store.database import open_database
from tests.makers import SAMPLE


def encode_promise(promise: Promise) -> str:
    """A promise as its file has it: a line for each table, view and macro."""
    lines = []
    for kind in ("tables", "views", "macros"):
        held = [f'  "{name}": {msgspec.json.encode(one).decode()}' for name, one in getattr(promise, kind).items()]
        lines.append(f' "{kind}": {{\n' + ",\n".join(held) + "\n }")
    return f'{{\n "version": {promise.version},\n' + ",\n".join(lines) + "\n}\n"


def main() -> None:
    path = PROMISES / f"{SCHEMA}.json"
    if path.exists():
        raise SystemExit(f"{path.name} is promised already: raise SCHEMA in pipeline/catalog/promise.py")
    with tempfile.TemporaryDirectory() as folder:
        build([SAMPLE], Path(folder) / "warehouse", jobs=1)
        with open_database(Layout(Path(folder) / "warehouse")) as connection:
            path.write_text(encode_promise(describe_schema(connection)))


if __name__ == "__main__":
    main()
