"""The sample pages, end to end."""

from pathlib import Path

from pipeline.build import build

PAGES = Path(__file__).parent / "data" / "pages"


def test_the_sample_pages_load_whole(tmp_path):
    summary = build([PAGES], tmp_path / "warehouse", jobs=1)

    assert (summary.pages, summary.specs, summary.rows, summary.rejects) == (4, 157, 360, 0)
    assert summary.failed == []
