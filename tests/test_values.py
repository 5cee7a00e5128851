"""YAML becomes values that keep what was written and know their lines."""

import pytest

from pipeline.errors import FileFaultsError
from pipeline.yamlfiles.values import Items, Keyed, Null, Scalar, line_of, read_text, read_values, show


def test_scalars_stay_as_they_were_written():
    value = read_values("[0.18, 2025-01-01, yes, 0x10, 'null', '', 1_0]", "f")

    assert value == ["0.18", "2025-01-01", "yes", "0x10", "null", "", "1_0"]
    assert {type(one) for one in value} == {Scalar}
    assert [type(one) for one in read_values("[~, null, !!null '']", "f")] == [Null] * 3
    assert read_values("# nothing\n", "f") is None


def test_each_value_and_key_knows_its_line():
    value = read_values("# a\nkey:\n  - x\n  - {y: z}\n&b other: 1\n", "f")
    items = value["key"]

    assert (line_of(value), line_of(items), [line_of(one) for one in items]) == (2, 3, [3, 4])
    assert [line_of(key) for key in value] == [2, 5]
    assert line_of("no value of a file") == 1


def test_keys_that_no_mapping_can_hold_are_kept_apart():
    value = read_values("a: 1\na: 2\n? [b]\n: 3\n", "f")

    assert value == {"a": "1"}
    assert [(show(key), line_of(key), held) for key, held in value.more] == [("'a'", 2, "2"), ("that", 3, "3")]


def test_an_alias_stands_for_the_same_value_even_within_itself():
    value = read_values("&a {list: &b [*a, *b], again: *b}", "f")

    assert (type(value), type(value["list"])) == (Keyed, Items)
    assert value["list"][0] is value
    assert value["list"][1] is value["again"] is value["list"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('a: 1\nb: "\\uD800"', "f:2: is no YAML: an escape is half of a character"),
        ("[" * 3000, "f:1: is nested too deeply"),
        ("a\n\0", "f:2: is no YAML: the character U+0000 is not allowed"),
        ('"\\UFFFFFFFF"', "f:1: is no YAML: the number of an escape or of YAML's version is too large"),
        ("a: [", "f:1: is no YAML: expected the node content, but found '<stream end>'"),
    ],
)
def test_what_is_no_yaml_is_a_line(text, fault):
    with pytest.raises(FileFaultsError) as caught:
        read_values(text, "f")
    assert caught.value.faults == [fault]


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "f").write_bytes(b"\xff")
    with pytest.raises(FileFaultsError, match="is not UTF-8 text"):
        read_text(tmp_path / "f")
