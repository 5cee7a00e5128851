"""Records decoded column by column are those that the careful way gives, or their page is named as amiss."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.specs.check import read_each
from pipeline.specs.columns import FEW_PAGES, RECORD_SCHEMA, decode_pages, make_records
from tests.makers import broken_specs, make_hash, make_spec, specs, thorough, unique_specs


def encode(records):
    return json.dumps(records).encode()


def careful(records):
    """What the careful way makes of a page's records: rows, and whether anything was amiss."""
    found = read_each(json.loads(json.dumps(records)))
    return rows_of(make_records(found.specs, [0] * len(found.specs))), bool(found.rejects or found.unknown)


def rows_of(frame):
    """The rows of a frame without the page; stacks in order and each once, as they are written."""
    rows = frame.drop("page").to_dicts()
    return [{**row, "stacks": sorted(set(row["stacks"]))} for row in rows]


@thorough(60, 300)
@given(st.lists(unique_specs(), max_size=4))
def test_clean_pages_give_what_the_careful_way_gives(pages):
    found, amiss = decode_pages([encode(records) for records in pages])

    assert amiss == []
    for number, records in enumerate(pages):
        rows, _ = careful(records)
        assert rows_of(found.filter(page=number)) == rows
    assert found["page"].is_sorted()


@thorough(120, 500)
@given(st.lists(specs | broken_specs | st.sampled_from([None, 1, "x", [], {}]), max_size=4))
def test_whatever_is_amiss_is_left_to_the_careful_way(records):
    rows, wrong = careful(records)
    found, amiss = decode_pages([encode(records), encode([make_spec(99)])])

    if wrong:
        assert 0 in amiss
    if 0 not in amiss:
        assert rows_of(found.filter(page=0)) == rows
    else:
        assert found.filter(page=0).height == 0


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
        encode([make_spec(1, size=5)]),
        encode([make_spec(1, size="1" * 19 + "0")]),
        encode([make_spec(1, size=str(2**63))]),
        encode([make_spec(1, size="+5")]),
        encode([make_spec(1, compiler="gcc @ 5")]),
        encode([make_spec(1, versions=["1", "2"])]),
        encode([make_spec(1, stacks=[])]),
        encode([make_spec(1, stacks=["e4s", ""])]),
        encode([make_spec(1, variants=None)]),
        encode([make_spec(1, variants=[None])]),
        encode([make_spec(1)]).replace(b'"os"', b'"hash"', 1),
        b'[{"os": "\xff"}]',
    ],
)
def test_nothing_is_taken_of_a_page_that_is_not_plain(details):
    found, amiss = decode_pages([encode([make_spec(3)]), details, encode([make_spec(4)])])

    assert 1 in amiss
    assert set(found["hash"]) <= {make_hash(3), make_hash(4)}
    assert set(found["page"]) == {0, 1, 2} - set(amiss)


@pytest.mark.parametrize("wrong", [{"hash": "x"}, {"compiler": "a b"}, {"size": "x"}, {"os": ""}, {"variants": [""]}])
def test_a_wrong_value_names_its_page_alone(wrong):
    pages = [encode([make_spec(number), make_spec(number + 1000)]) for number in range(100)]
    pages[70] = encode([make_spec(70), make_spec(1070, **wrong)])

    found, amiss = decode_pages(pages)

    assert amiss == [70]
    assert found.height == 198


@pytest.mark.parametrize("stacks", [["hep", "e4s"], ["root", "aws-isc"], ["e4s", "e4s"]])
def test_stacks_in_no_order_need_no_careful_way(stacks):
    found, amiss = decode_pages([encode([make_spec(1, stacks=stacks)])])

    assert amiss == []
    assert found["stacks"].to_list() == [stacks]


def test_only_the_neighbours_of_what_is_no_such_json_go_the_careful_way():
    pages = [encode([make_spec(number), make_spec(number + 1000)]) for number in range(100)]
    pages[70] = b"[5]"

    found, amiss = decode_pages(pages)

    assert 70 in amiss
    assert len(amiss) <= FEW_PAGES
    kept = [number for number in range(100) if number not in amiss]
    assert found["page"].to_list() == [number for number in kept for _ in range(2)]
    assert found["hash"].to_list() == [
        hash for number in kept for hash in sorted([make_hash(number), make_hash(number + 1000)])
    ]


def test_no_specs_are_an_empty_frame():
    assert make_records([], []).columns == [*RECORD_SCHEMA.names, "page"]
    assert decode_pages([]).specs.height == 0
    assert decode_pages([]).amiss == []
