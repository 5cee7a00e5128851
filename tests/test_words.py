"""Numbers of things."""

import pytest

from pipeline.io.progress import number_of


@pytest.mark.parametrize(
    ("number", "noun", "told"),
    [(0, "index", "0 indexes"), (1, "index", "1 index"), (1, "page", "1 page"), (2000, "page", "2,000 pages")],
)
def test_one_thing_is_no_plural(number, noun, told):
    assert number_of(number, noun) == told
