"""Front matter in every valid form gives the same page; every broken one says what is wrong where."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Fault
from pipeline.sources.files import opens_like_page
from pipeline.specs import page as parse
from pipeline.specs.check import read_meta, read_records
from pipeline.specs.page import is_plain_text, parse_page
from tests.makers import count_meta, make_page, make_spec, unique_specs


def contents(text):
    """All that a page says, however it was read."""
    page = parse_page(text if isinstance(text, bytes) else text.encode())
    records = read_records(page)
    _, meta, more = read_meta(page)
    return page.package, page.snapshot, records.specs, records.rejects, dict(records.unknown), meta, more


def fault(text):
    with pytest.raises(Fault) as caught:
        parse_page(text if isinstance(text, bytes) else text.encode())
    return caught.value


def keys_of(specs, package="hdf5", snapshot="develop"):
    return {
        "title": package,
        "layout": "cache",
        "categories": ["package", snapshot],
        "meta": count_meta(specs),
        "spec_details": specs,
    }


FORMS = {
    "block": {"default_flow_style": False},
    "flow": {"default_flow_style": True},
    "single quotes": {"default_style": "'"},
    "double quotes": {"default_style": '"', "width": 40},
    "any order": {"sort_keys": False},
    "ascii": {"allow_unicode": False},
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None)
@given(specs=unique_specs())
def test_any_yaml_gives_what_the_json_lines_give(form, specs):
    # Numbers keep their style only where nothing forces quotes on them.
    style = FORMS[form]
    keys = keys_of(specs)
    if "default_style" in style:
        keys["meta"] = {"compilers": keys["meta"]["compilers"]}
    expected = contents(make_page(specs, meta=keys["meta"]))

    assert contents("---\n" + yaml.safe_dump(keys, **style) + "---\n") == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.removesuffix("---\n"),
        lambda text: text.removesuffix("---\n") + "...\n",
        lambda text: text + "# Packages\n\nspec_details: [later]\n---\n",
        lambda text: text.replace("title:", "# a comment\ntitle:", 1),
        lambda text: text.replace("layout: cache", "layout: cache   "),
        lambda text: text.replace("layout: cache\n", "extra: {a: [1, 2]}\n"),
        lambda text: text.replace('title: "hdf5"', "title: hdf5"),
        lambda text: text.replace("[package, develop]", "\n- package\n- develop"),
        lambda text: text.replace("---\n", "--- \n", 1),
    ],
    ids=["crlf", "bom", "not closed", "dots", "text after", "comment", "blanks", "extra", "plain", "block", "opening"],
)
def test_small_changes_of_the_generators_form_change_nothing(change):
    text = make_page([make_spec(1), make_spec(2, compiler="none")])

    assert contents(change(text)) == contents(text)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [b"---\n", b'title: "hdf5"', b"layout: cache", b"[package, develop]", b"meta: ", b"spec_details: "]
    ),
    st.sampled_from([b"\n", b"\r\n", b" ", b"-", b"\0", b'"', b"\\", b"{", b"]", b"\xc3\xa9", b"# x", b"1.0", b"..."]),
    st.integers(0, 30),
    st.booleans(),
)
def test_the_generators_form_is_read_as_any_yaml(mark, noise, offset, in_place):
    text = make_page([make_spec(1), make_spec(2)]).encode()
    at = min(text.index(mark) + offset, len(text))
    data = text[:at] + noise + text[at + (len(noise) if in_place else 0) :]

    def outcome():
        try:
            page = parse_page(data)
            return page and contents(data)
        except Fault as fault:
            return fault.place, fault.reason

    fast = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "read_generated", lambda data: None)
        assert outcome() == fast


def test_a_page_of_the_generator_needs_no_yaml(monkeypatch):
    monkeypatch.setattr(parse, "load_yaml", None)

    assert contents(make_page([make_spec(1)]))[:2] == ("hdf5", "develop")


def test_keys_may_come_in_any_order():
    lines = make_page([make_spec(1)]).splitlines()

    assert contents("\n".join(["---", *reversed(lines[1:-1]), "---", ""])) == contents("\n".join(lines))


def test_json_that_yaml_alone_can_read_is_read_by_yaml():
    text = make_page([make_spec(1)]).replace('"-"', "'-'").replace("}]", "}, ]")

    assert contents(text) == contents(make_page([make_spec(1)]))


def test_a_line_inside_a_longer_value_is_no_key():
    text = '---\ntitle: "hdf5"\ncategories: [package, develop]\nnote: "a\nspec_details: []\n  b"\n'
    details = json.dumps([make_spec(1)])

    assert parse_page(text.encode()) is None
    assert "stands twice" in fault(f"{text}spec_details: {details}\n").reason


@pytest.mark.parametrize(
    "text",
    [
        "# README\n",
        "---\ntitle: layout\n---\nspec_details\n",
        "plain",
        "----\nspec_details: []\n",
        "\n---\n",
        "--- x\n",
    ],
)
def test_what_is_no_page_is_none(text):
    assert parse_page(text.encode()) is None


@pytest.mark.parametrize(("head", "may"), [(b"", True), (b"---\n", True), (b"\xef\xbb\xbf---", True), (b"# R", False)])
def test_a_head_says_whether_to_read_on(head, may):
    assert opens_like_page(head) is may


PAGE = '---\ntitle: "p"\ncategories: [package, s]\nspec_details: []\n'


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (b"", "file", "empty"),
        (PAGE.replace('"p"', '"p\0"').encode(), "line 2", "NUL"),
        (PAGE.replace('"p"', '"\\0"').encode(), "title", "NUL"),
        (PAGE.encode().replace(b'"p"', b'"\xff"'), "line 2", "UTF-8"),
        (PAGE.replace('title: "p"\n', "").encode(), "title", "missing"),
        (PAGE.replace('"p"', "1.0").encode(), "title", "not a name"),
        (PAGE.replace('"p"', '""').encode(), "title", "not a name"),
        (PAGE.replace("[package, s]", "[package]").encode(), "categories[1]", "missing"),
        (PAGE.replace("[package, s]", "[package, 2025.1]").encode(), "categories[1]", "not a name"),
        (PAGE.replace("[package, s]", "[package, no]").encode(), "categories[1]", "not a name"),
        (PAGE.replace("[]", "[" * 100_000).encode(), "line 4", "deep"),
        (PAGE.replace("[]", "[" * 60 + "'x'" + "]" * 60).encode(), "line 4", "deep"),
        (PAGE.replace("[]", "[}").encode(), "line 4", "valid YAML"),
        (PAGE.replace('"p"', "&a [*a]").replace("[]", "['x']").encode(), "line 2", "alias"),
        (PAGE.replace('"p"', "p\ntitle: q").encode(), "line 3", "second time"),
        (PAGE.replace("s]", "2025-13-45]").encode(), "front matter", "value that YAML cannot make"),
        (PAGE.replace("[]", "!!python/object:os.system {}").encode(), "line 4", "constructor"),
        (b"---\n- spec_details\n", "front matter", "not a mapping"),
    ],
)
def test_a_broken_page_says_what_is_wrong_where(text, place, reason):
    caught = fault(text)

    assert caught.place == place
    assert reason in caught.reason


def test_a_reject_carries_the_start_of_the_page_and_its_specs():
    caught = fault(make_page([make_spec(1), make_spec(2)]).replace('title: "hdf5"\n', ""))

    assert caught.specs == 2
    assert caught.raw.startswith("layout: cache")
    assert len(caught.raw) <= parse.LONGEST_RAW


def test_aliases_that_multiply_are_refused_in_no_time():
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))

    assert "expand" in fault(f"---\n{laughs}spec_details: *a11\n").reason


def test_harmless_aliases_are_followed():
    text = "---\ntitle: p\ncategories: [package, s]\nspec_details: [{stacks: &s [e4s], hash: x, other: *s}]\n"

    assert parse_page(text.encode()).spec_details[0]["other"] == ["e4s"]


def test_yaml_that_is_too_large_is_refused_before_it_is_read():
    caught = fault("---\nspec_details:\n" + "- x\n" * (parse.LARGEST_YAML // 4 + 1))

    assert "too large" in caught.reason


@given(
    st.sampled_from(
        [
            "develop",
            "v0.18",
            "v2025.11.0",
            "no",
            "yes",
            "null",
            "1.0",
            "0x1",
            "1e3",
            "2025-01-01",
            "develop-2025-01-01",
            "12",
            "on",
            "~",
            "a_b",
        ]
    )
)
def test_plain_text_is_what_yaml_takes_for_text(word):
    assert is_plain_text(word) == (yaml.safe_load(word) == word)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_fault(noise):
    for data in (noise, b"---\n" + noise, b"---\nspec_details: " + noise, b"---\nspec_details: [" + noise + b"]\n"):
        try:
            page = parse_page(data)
            if page is not None:
                read_records(page)
                read_meta(page)
        except Fault:
            pass
