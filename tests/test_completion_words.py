"""Which names a shell is offered."""

from pipeline.terminal.complete import _offer


def test_no_name_is_offered_that_a_shell_would_take_for_more_than_a_word():
    names = ["hdf5", "$(touch x)", "`id`", "new\npk", "esc\x1b[2J", "a b", "a'b", 'a"b', "a;b", "a\\b", "target=zen4"]
    assert _offer("", names) == ["hdf5", "target=zen4"]
