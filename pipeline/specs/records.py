"""The records of many pages at once: JSON to checked Arrow columns, with no Python object for any of them.

Arrow's JSON reader decodes, and what a schema cannot say is checked column by column. Where anything at all
is amiss in a group of pages nothing is taken from it here: :mod:`pipeline.specs.check` goes through these pages
record by record, and says what is wrong where. A test holds both ways together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from pipeline.errors import Fault
from pipeline.specs.check import HASH, REQUIRED, Spec, normalise_compiler, read_size

TEXT = pa.string()
TEXTS = pa.list_(TEXT)
_TYPES = {"stacks": TEXTS, "variants": TEXTS, "versions": TEXTS}
RECORD_SCHEMA = pa.schema([(name, _TYPES.get(name, TEXT)) for name in Spec.__struct_fields__])
"""A row per spec as a page spells it; ``size`` is text."""
FEW_PAGES = 16
"""Pages among which the one amiss is not looked for any more."""

# A page to a line, its list as the value of one key: https://arrow.apache.org/docs/python/json.html.
_LINE = pa.schema([("records", pa.list_(pa.struct(list(RECORD_SCHEMA))))])
_OPEN, _CLOSE = b'{"records":', b"}\n"


class Records(NamedTuple):
    """Specs of some pages in a table of :data:`RECORD_SCHEMA`, page by page and by hash, and how many each has."""

    specs: pa.Table
    counts: list[int]


def decode_pages(details: Sequence[bytes], start: int = 0) -> Iterator[tuple[range, Records | None]]:
    """Decode the ``spec_details`` of pages.

    Gives the pages, by their numbers from ``start``, in runs with their records, or with None where one among
    them is amiss.
    """
    records = decode_clean(details)
    if records is not None or len(details) <= FEW_PAGES:
        yield range(start, start + len(details)), records
        return
    middle = len(details) // 2
    yield from decode_pages(details[:middle], start)
    yield from decode_pages(details[middle:], start + middle)


def decode_clean(details: Sequence[bytes]) -> Records | None:
    """The records of pages in which nothing is amiss; None where anything is."""
    text = b"".join([part for one in details for part in (_OPEN, one, _CLOSE)])
    if b"\\u0000" in text:
        return None
    try:
        lines = pyarrow.json.read_json(
            pa.BufferReader(text),
            # One block: what is cut in two is put together again at a price.
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            pyarrow.json.ParseOptions(explicit_schema=_LINE, unexpected_field_behavior="error"),
        )
    except pa.ArrowInvalid:
        return None
    pages = lines["records"].combine_chunks()
    records = pages.flatten()
    # A line that is no JSON value may be several.
    if len(pages) != len(details) or pages.null_count or records.null_count:
        return None
    columns = dict(zip(RECORD_SCHEMA.names, records.flatten(), strict=True))
    if not all(is_complete(columns[name]) for name in REQUIRED) or not is_sound(columns):
        return None
    specs = sort_records(pa.table(columns, RECORD_SCHEMA), pc.list_parent_indices(pages))
    return None if specs is None else Records(specs, pc.list_value_length(pages).to_pylist())


def is_complete(column: pa.Array) -> bool:
    """Whether a column of texts or of lists of texts has no NULL and no empty text."""
    if column.null_count:
        return False
    texts = column.flatten() if pa.types.is_list(column.type) else column
    return texts.null_count == 0 and not pc.any(pc.equal(pc.binary_length(texts), 0)).as_py()


def is_sound(columns: dict[str, pa.Array]) -> bool:
    """Whether complete columns also hold only what can be: see :func:`pipeline.specs.check.check_values`."""
    if not pc.all(pc.match_substring_regex(columns["hash"], f"^{HASH.pattern}$"), min_count=0).as_py():
        return False
    if not pc.all(pc.equal(pc.list_value_length(columns["versions"]), 1), min_count=0).as_py():
        return False
    stacks, spec = columns["stacks"].flatten(), pc.list_parent_indices(columns["stacks"])
    # Sorted and each once, as the generator of the pages writes them.
    if pc.min(pc.list_value_length(columns["stacks"])).as_py() == 0 or not is_ascending(stacks, spec):
        return False
    try:
        for compiler in columns["compiler"].unique().to_pylist():
            normalise_compiler(compiler)
        for size in columns["size"].unique().to_pylist():
            read_size(size)
    except Fault:
        return False
    return True


def sort_records(specs: pa.Table, pages: pa.Array) -> pa.Table | None:
    """Specs by page and hash; None where a page has a hash twice."""
    if is_ascending(specs["hash"], pages):
        # As the generator writes them.
        return specs
    keys = pa.table({"page": pages, "hash": specs["hash"]})
    order = pc.sort_indices(keys, sort_keys=[("page", "ascending"), ("hash", "ascending")])
    specs, pages = specs.take(order), pages.take(order)
    return specs if is_ascending(specs["hash"], pages) else None


def is_ascending(texts: pa.Array | pa.ChunkedArray, groups: pa.Array) -> bool:
    """Whether each text is greater than the one before it, wherever both are of one group."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    same = pc.equal(groups[1:], groups[:-1])
    return not pc.any(pc.and_(same, pc.less_equal(texts[1:], texts[:-1]))).as_py()


def make_records(specs: Sequence[Spec]) -> pa.Table:
    """Specs as a table of :data:`RECORD_SCHEMA`."""
    rows = [{name: getattr(spec, name) for name in RECORD_SCHEMA.names} | {"size": str(spec.size)} for spec in specs]
    return pa.Table.from_pylist(rows, RECORD_SCHEMA)
