"""Records become specs or rejects, and none is lost."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Fault
from pipeline.specs.check import (
    Compiler,
    normalise_compiler,
    read_each,
    read_meta,
    read_records,
    read_size,
)
from pipeline.specs.page import Page
from tests.makers import broken_specs, make_hash, make_spec, specs


def page_of(records, meta=None):
    return Page("hdf5", "develop", meta, json.dumps(records).encode())


def reject_of(**changes):
    found = read_records(page_of([make_spec(1), make_spec(2, **changes)]))
    assert [spec.hash for spec in found.specs] == [make_hash(1)], "the good spec beside it is loaded"
    (reject,) = found.rejects
    assert json.loads(reject.raw) == make_spec(2, **changes)
    assert reject.specs == 1
    return reject.place, reject.reason


@pytest.mark.parametrize(
    ("raw", "compiler"),
    [
        ("gcc@=11.4.0", Compiler("gcc@11.4.0", "gcc", "11.4.0")),
        ("gcc@11.4.0", Compiler("gcc@11.4.0", "gcc", "11.4.0")),
        ("apple-clang@=16.0.0", Compiler("apple-clang@16.0.0", "apple-clang", "16.0.0")),
        ("none", Compiler("none", "none", None)),
        ("gcc", Compiler("gcc", "gcc", None)),
        ("gcc@11.4.0/abcdef", Compiler("gcc@11.4.0", "gcc", "11.4.0")),
        ("clang@main", Compiler("clang@main", "clang", "main")),
        ("gcc@git.abc=11", Compiler("gcc@git.abc=11", "gcc", "git.abc=11")),
    ],
)
def test_compilers_have_one_spelling(raw, compiler):
    assert normalise_compiler(raw) == compiler


@pytest.mark.parametrize("raw", ["", "@1.2", "@=1.2", "gcc@", "gcc @11", "gcc@11 12", "/hash"])
def test_what_is_no_compiler_is_refused(raw):
    with pytest.raises(Fault):
        normalise_compiler(raw)


@pytest.mark.parametrize(("size", "found"), [("-", None), ("0", 0), ("123", 123), (5, 5), (2**63 - 1, 2**63 - 1)])
def test_sizes_are_bytes(size, found):
    assert read_size(size) == found


@pytest.mark.parametrize("size", ["", "1.5", "1 MB", "-1", -1, 2**63, "\u0663", "9" * 5000])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(Fault):
        read_size(size)


@pytest.mark.parametrize(
    "key", ["compiler", "hash", "os", "platform", "size", "stacks", "target", "variants", "versions"]
)
def test_every_missing_key_is_named(key):
    assert reject_of(**{key: ...}) == (f"spec_details[1].{key}", "is missing")


@pytest.mark.parametrize("value", [None, 1, 1.5, True, {}, ["x"]])
@pytest.mark.parametrize("key", ["compiler", "hash", "os", "platform", "target"])
def test_a_text_of_a_wrong_type_is_named(key, value):
    place, reason = reject_of(**{key: value})

    assert place == f"spec_details[1].{key}"
    assert "not a text" in reason


@pytest.mark.parametrize("value", [None, "e4s", 1, {}])
@pytest.mark.parametrize("key", ["stacks", "variants", "versions"])
def test_a_list_of_a_wrong_type_is_named(key, value):
    place, reason = reject_of(**{key: value})

    assert place == f"spec_details[1].{key}"
    assert "not a list" in reason


@pytest.mark.parametrize("key", ["stacks", "variants", "versions"])
def test_an_item_of_a_wrong_type_is_named(key):
    assert reject_of(**{key: ["x", 24.2]})[0] == f"spec_details[1].{key}[1]"


@pytest.mark.parametrize(
    ("changes", "place", "reason"),
    [
        ({"hash": "a" * 31}, "hash", "32 characters"),
        ({"hash": "a" * 33}, "hash", "32 characters"),
        ({"hash": "A" * 32}, "hash", "32 characters"),
        ({"hash": "1" * 32}, "hash", "32 characters"),
        ({"hash": "a" * 31 + "\n"}, "hash", "32 characters"),
        ({"hash": "é" * 32}, "hash", "32 characters"),
        ({"hash": make_hash(1)}, "hash", "stands already in spec_details[0]"),
        ({"versions": []}, "versions", "empty"),
        ({"versions": ["1", "2"]}, "versions", "2 versions"),
        ({"versions": [""]}, "versions", "empty"),
        ({"stacks": []}, "stacks", "empty"),
        ({"stacks": ["e4s", ""]}, "stacks", "empty"),
        ({"os": ""}, "os", "empty"),
        ({"os": "a\0b"}, "os", "NUL"),
        ({"variants": ["+a\0"]}, "variants", "NUL"),
        ({"compiler": "@11"}, "compiler", "name@version"),
        ({"size": "big"}, "size", "number of bytes"),
        ({"size": True}, "size", "truth value"),
        ({"tarball": 5}, "tarball", "a number"),
    ],
)
def test_a_value_that_cannot_be_is_named(changes, place, reason):
    found = reject_of(**changes)

    assert found[0] == f"spec_details[1].{place}"
    assert reason in found[1]


@pytest.mark.parametrize("record", [None, 5, "text", [], [make_spec(3)]])
def test_a_record_that_is_no_mapping_is_a_reject(record):
    found = read_records(page_of([make_spec(1), record]))

    assert (len(found.specs), found.rejects[0].place) == (1, "spec_details[1]")


@pytest.mark.parametrize("details", [b"{}", b'{"a": 1}', "text", 5, None, {"a": 1}])
def test_details_that_are_no_list_are_the_pages_fault(details):
    with pytest.raises(Fault, match="not a list"):
        read_records(Page("hdf5", "develop", None, details))


def test_unknown_keys_are_counted_and_the_spec_is_loaded():
    found = read_records(page_of([make_spec(1, new=1), make_spec(2, new=2, other=3), make_spec(3)]))

    assert (len(found.specs), found.unknown) == (3, {"new": 2, "other": 1})


def test_a_stack_named_twice_is_one_stack():
    found = read_records(page_of([make_spec(1, stacks=["root", "e4s", "root"])]))

    assert found.specs[0].stacks == ["e4s", "root"]


def test_an_empty_page_is_a_page():
    assert read_records(page_of([])).specs == []


records = st.lists(st.one_of(specs, specs, specs, broken_specs, st.sampled_from([None, 1, "x", []])), max_size=8)


@settings(max_examples=300, deadline=None)
@given(records)
def test_nothing_is_lost(records):
    found = read_records(page_of(records))
    as_objects = read_each(records)

    assert len(found.specs) + len(found.rejects) == len(records)
    assert (found.specs, found.unknown) == (as_objects.specs, as_objects.unknown)
    assert [reject[:2] for reject in found.rejects] == [reject[:2] for reject in as_objects.rejects]


def meta_of(meta):
    return read_meta(Page("hdf5", "develop", json.dumps(meta).encode() if meta is not ... else None, b"[]"))


def test_meta_is_kept_as_text_and_typed():
    text, meta, faults = meta_of({"num_specs": 2, "num_specs_by_stack": {"e4s": 2}, "oss": ["a"], "more": 1})

    assert json.loads(text)["more"] == 1
    assert (meta.num_specs, meta.num_specs_by_stack, meta.oss, meta.stacks) == (2, {"e4s": 2}, ["a"], None)
    assert faults == []


def test_a_page_without_meta_says_nothing():
    assert meta_of(...)[0] is None


@pytest.mark.parametrize(
    ("meta", "place"),
    [
        ({"num_specs": "2", "oss": ["a"]}, "meta.num_specs"),
        ({"num_specs": 2**64, "oss": ["a"]}, "meta.num_specs"),
        ({"num_specs_by_stack": ["e4s"], "oss": ["a"]}, "meta.num_specs_by_stack"),
        ({"num_specs_by_stack": {"e4s": 2**70}, "oss": ["a"]}, "meta.num_specs_by_stack"),
        ({"versions": "1.2", "oss": ["a"]}, "meta.versions"),
        ({"versions": [1.2], "oss": ["a"]}, "meta.versions"),
    ],
)
def test_a_field_of_meta_of_a_wrong_type_is_a_reject_that_loses_no_spec(meta, place):
    _, said, faults = meta_of(meta)

    assert [(fault.place, fault.specs) for fault in faults] == [(place, 0)]
    assert said.oss == ["a"]


def test_meta_that_is_no_mapping_is_a_reject():
    assert meta_of([1])[2][0].place == "meta"
