"""Whether the published files are what their build wrote."""

from __future__ import annotations

from pipeline.layout import STATE, BuildPaths, Layout
from pipeline.store.checks import SHOWN, Check
from pipeline.store.state import digest_files, read_state

NAME = "files_are_as_built"
RULE = "every published file has the bytes that its build wrote, and there is no other"


def check_files(layout: Layout) -> Check:
    """Compare the published files with the digests of their build's state; a row for each file that differs.

    A copy that followed the links of a warehouse has no state beside its files: that is a warning.

    Raises:
        OSError: a file cannot be read.
    """
    build = layout.current or BuildPaths(layout.database.resolve().parent)
    state = read_state(build)
    if state is None:
        return Check(
            NAME,
            RULE,
            layout.current is None,
            1,
            ["file", "found"],
            [(STATE, "missing or damaged: nothing to compare with")],
        )
    found = digest_files(build)
    offenders: list[tuple[object, ...]] = []
    for name in sorted(found.keys() | state.files.keys()):
        if name not in found:
            offenders.append((name, "missing"))
        elif name not in state.files:
            offenders.append((name, "not of the build"))
        elif found[name] != state.files[name]:
            offenders.append((name, "changed"))
    return Check(NAME, RULE, False, len(offenders), ["file", "found"], offenders[:SHOWN])
