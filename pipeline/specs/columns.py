"""The records of many pages at once: JSON to a checked frame, with no Python object for any of them.

Arrow's JSON reader decodes, strictly, and what a schema cannot say is checked by expressions over the columns.
A page in which anything is amiss is only named here: :mod:`pipeline.specs.check` goes through it record by
record, and says what is wrong where. A test holds both ways together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from pipeline.errors import Fault
from pipeline.specs.check import HASH_PATTERN, LISTS, REQUIRED, Spec, normalise_compiler

_TYPES = {name: pa.list_(pa.string()) for name in LISTS}
RECORD_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in Spec.__struct_fields__])
"""A row per spec as a page spells it; ``size`` is text."""
FEW_PAGES = 16
"""Pages among which the one that is no such JSON is not looked for any more."""

# A page to a line, its list as the value of one key: https://arrow.apache.org/docs/python/json.html.
_LINE = pa.schema([("records", pa.list_(pa.struct(list(RECORD_SCHEMA))))])
_OPEN, _CLOSE = b'{"records":', b"}\n"
_SIZE = "^(-|[0-9]{1,19})$"


class Decoded(NamedTuple):
    """Specs as pages spell them, with ``page``, the number of each one's page, by page and hash.

    Pages in ``amiss`` have none: they must be read record by record.
    """

    specs: pl.DataFrame
    amiss: list[int]


def decode_pages(details: Sequence[bytes]) -> Decoded:
    """Decode the ``spec_details`` of pages. Stacks are as the page has them: in any order, perhaps repeated."""
    frames = [pl.DataFrame(RECORD_SCHEMA.empty_table()).with_columns(page=pl.lit(None, pl.UInt32))]
    amiss: set[int] = set()
    for pages, frame in _decode_runs(details):
        if frame is None:
            amiss.update(pages)
        else:
            frames.append(frame)
    specs = pl.concat(frames)
    amiss.update(find_amiss(specs))
    if amiss:
        specs = specs.filter(~pl.col("page").is_in(list(amiss)))
    return Decoded(specs if is_sorted(specs) else specs.sort("page", "hash"), sorted(amiss))


def _decode_runs(details: Sequence[bytes], start: int = 0) -> Iterator[tuple[range, pl.DataFrame | None]]:
    """The pages in runs, by their numbers from ``start``, with their records; None where a run cannot be decoded."""
    frame = _decode_run(details, start)
    if frame is not None or len(details) <= FEW_PAGES:
        yield range(start, start + len(details)), frame
        return
    middle = len(details) // 2
    yield from _decode_runs(details[:middle], start)
    yield from _decode_runs(details[middle:], start + middle)


def _decode_run(details: Sequence[bytes], start: int) -> pl.DataFrame | None:
    """The records of pages whose types are all as they must be; None where one's are not, or a text holds NUL."""
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
    numbers = pc.add(pc.list_parent_indices(pages), start).cast(pa.uint32())
    return pl.DataFrame(pa.table([*records.flatten(), numbers], names=[*RECORD_SCHEMA.names, "page"]))


def find_amiss(specs: pl.DataFrame) -> list[int]:
    """The pages of specs that miss something, or hold what cannot be: see :func:`pipeline.specs.check.check_values`."""
    compilers = [raw for raw in specs["compiler"].unique() if raw is not None and not _is_compiler(raw)]
    texts = [pl.col(name) for name in REQUIRED if name not in LISTS]
    lists = [pl.col(name) for name in LISTS]
    size = pl.col("size")
    wrong = pl.any_horizontal(
        *(text.is_null() | (text == "") for text in texts),
        *(each.list.eval(pl.element().is_null() | (pl.element() == "")).list.any() for each in lists),
        ~pl.col("hash").str.contains(f"^{HASH_PATTERN.pattern}$"),
        pl.col("versions").list.len() != 1,
        pl.col("stacks").list.len() == 0,
        pl.col("compiler").is_in(compilers),
        ~size.str.contains(_SIZE) | ((size != "-") & size.cast(pl.Int64, strict=False).is_null()),
        pl.lit(False) if is_sorted(specs) else pl.struct("page", "hash").is_duplicated(),
    )
    # What NULL is compared with is NULL, and amiss.
    return specs.filter(wrong.fill_null(True))["page"].unique().to_list()


def is_sorted(specs: pl.DataFrame) -> bool:
    """Whether the hashes of each page ascend, each once, as the generator of the pages writes them."""
    page, hash = pl.col("page"), pl.col("hash")
    falls = (page == page.shift()) & ((hash <= hash.shift()) | hash.is_null())
    return not specs.select(falls.any()).item()


def _is_compiler(raw: str) -> bool:
    try:
        normalise_compiler(raw)
    except Fault:
        return False
    return True


def make_records(specs: Iterable[Spec], pages: Sequence[int]) -> pl.DataFrame:
    """Checked specs of ``pages`` as a frame like that of :func:`decode_pages`."""
    rows = [{name: getattr(spec, name) for name in RECORD_SCHEMA.names} | {"size": str(spec.size)} for spec in specs]
    frame = pl.DataFrame(pa.Table.from_pylist(rows, RECORD_SCHEMA))
    return frame.with_columns(pl.Series("page", pages, pl.UInt32))
