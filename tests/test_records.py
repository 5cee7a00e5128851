"""Records decoded natively are those that the careful way gives, or none at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.specs.check import FEW_PAGES, RECORD_SCHEMA, decode_clean, decode_pages, make_records, read_each
from tests.makers import broken_specs, make_hash, make_spec, specs, thorough, unique_specs


def encode(records):
    return json.dumps(records).encode()


def careful(records):
    """What the careful way makes of a page's records: rows, and whether anything was amiss."""
    found = read_each(json.loads(json.dumps(records)))
    return make_records(found.specs).to_pylist(), bool(found.rejects or found.unknown)


@thorough(80, 300)
@given(st.lists(unique_specs(), max_size=4))
def test_clean_pages_give_what_the_careful_way_gives(pages):
    found = decode_clean([encode(records) for records in pages])
    rows = [careful(records) for records in pages]

    if found is not None:
        assert found.specs.to_pylist() == [row for page, _ in rows for row in page]
        assert found.counts == [len(page) for page, _ in rows]
    # An empty batch, or stacks in another order than the generator's, is left to the careful way.
    sorted_stacks = all(spec["stacks"] == sorted(spec["stacks"]) for records in pages for spec in records)
    assert (found is not None) == (bool(pages) and sorted_stacks)


@thorough(120, 500)
@given(st.lists(specs | broken_specs | st.sampled_from([None, 1, "x", [], {}]), max_size=4))
def test_whatever_is_amiss_is_left_to_the_careful_way(records):
    rows, amiss = careful(records)
    found = decode_clean([encode(records)])

    if amiss:
        assert found is None
    elif found is not None:
        assert found.specs.to_pylist() == rows


@pytest.mark.parametrize(
    "details",
    [
        b"{}",
        b"5",
        b"null",
        b'[]} {"records": []',
        b'[], "records": []',
        b"[null]",
        b"[{}]",
        b"[",
        encode([make_spec(1, os="a\0")]),
        encode([make_spec(1), make_spec(1)]),
        encode([make_spec(1, hash=make_hash(1).upper())]),
        encode([make_spec(1, hash=make_hash(1) + "\n")]),
        encode([make_spec(1, hash=make_hash(1)[:-1])]),
        encode([make_spec(1, stacks=["e4s", "e4s"])]),
        encode([make_spec(1, stacks=["hep", "e4s"])]),
        encode([make_spec(1, size=5)]),
        encode([make_spec(1, variants=None)]),
        encode([make_spec(1, variants=[None])]),
        encode([make_spec(1)]).replace(b'"os"', b'"hash"', 1),
        b'[{"os": "\xff"}]',
    ],
)
def test_nothing_is_taken_of_what_is_not_plain(details):
    assert decode_clean([encode([make_spec(3)]), details, encode([make_spec(4)])]) is None


def test_only_the_neighbours_of_what_is_amiss_go_the_careful_way():
    pages = [encode([make_spec(number), make_spec(number + 1000)]) for number in range(100)]
    pages[70] = b"[5]"

    runs = list(decode_pages(pages))
    left = [number for numbers, records in runs if records is None for number in numbers]

    assert [number for numbers, _ in runs for number in numbers] == list(range(100))
    assert 70 in left
    assert len(left) <= FEW_PAGES
    for numbers, records in runs:
        if records is not None:
            assert records.counts == [2] * len(numbers)
            assert records.specs["hash"].to_pylist() == [
                hash for number in numbers for hash in sorted([make_hash(number), make_hash(number + 1000)])
            ]


def test_no_specs_are_an_empty_table():
    assert make_records([]).schema == RECORD_SCHEMA
    assert make_records([]).num_rows == 0
