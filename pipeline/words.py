"""Words that users type, in commands and files alike: formats of reports, the newest snapshot."""

from __future__ import annotations

TABLE_FORMATS = ("csv", "parquet", "json")
"""Formats of reports with a file for each report."""
REPORT_FORMATS = (*TABLE_FORMATS, "xlsx", "markdown", "html")
"""All of them; the others have one file for a snapshot."""
SHORT_FORMATS = {"md": "markdown"}
"""What people write for a format."""
DEFAULT_FORMATS = ("csv", "parquet")

NEWEST = "newest"
"""What users may call the newest snapshot."""
