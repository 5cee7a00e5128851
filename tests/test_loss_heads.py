"""What was lost together: the laws of ``loss_heads``, and its answers against a plain walk of the graph."""

from itertools import pairwise

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ask.diff import describe_loss, group_losses, sum_up_losses
from tests.makers import thorough
from tests.test_sql_cases import load

NAMES = "abcdefgh"
GRAPHS = st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=16)


def find_heads(packages, needs):
    """Of each package its head: a walk from each, and the rule as the view states it."""
    below = {}
    for package in packages:
        found, waiting = set(), [package]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += [needed for needer, needed in needs if needer == one and needed in packages]
        below[package] = found
    heads = [
        package
        for package in packages
        if all(above in below[package] for above in packages if package in below[above])
        and package == min(other for other in below[package] if package in below[other])
    ]
    return {
        package: min((other for other in heads if package in below[other]), key=lambda head: (-len(below[head]), head))
        if package not in heads
        else package
        for package in packages
    }


@pytest.mark.slow
@thorough(3, 30)
@given(stacks=st.lists(st.tuples(st.sets(st.sampled_from(NAMES), min_size=1), GRAPHS), min_size=1, max_size=8))
def test_each_lost_package_is_under_the_head_that_a_walk_finds(stacks):
    pages, specs, edges, expected = [], [], [], set()
    for number, (lost, needs) in enumerate(stacks):
        stack = f"s{number}"
        heads = find_heads(sorted(lost), needs)
        expected |= {(stack, package, head) for package, head in heads.items()}
        pages += [{"snapshot": name, "package": None, "stack": stack, "path": stack} for name in ("v1", "v2")]
        for package in [*NAMES, "kept"]:
            spec = {"hash": f"{stack}{package}", "package": package, "stack": stack}
            specs += [{**spec, "snapshot": name} for name in ("v1", "v2") if name == "v1" or package not in lost]
        edges += [
            {"snapshot": "v1", "hash": stack + needer, "dependency_hash": stack + needed, "dependency": needed}
            for needer, needed in needs
        ]
    with duckdb.connect() as connection:
        load(connection, {"pages": pages, "spec_stacks": specs, "dependencies": edges})
        stored = connection.execute("select stack, package, head from loss_heads").fetchall()
        asked = connection.execute("select stack, package, head from loss_heads_between('v1', 'v2')").fetchall()

    assert len(stored) == len(asked) == len(expected)
    assert set(stored) == set(asked) == expected


@pytest.mark.parametrize("steps", [64, 65])
def test_a_chain_of_64_steps_has_one_head(steps):
    """Of a longer chain, which no cache has, the rest has heads of its own: none is missing."""
    names = [f"p{number:03}" for number in range(steps + 1)]
    pages = [{"snapshot": name, "package": None, "stack": "e4s", "path": "i"} for name in ("v1", "v2")]
    specs = [{"snapshot": "v1", "hash": name, "package": name} for name in names]
    kept = {"snapshot": "v2", "hash": "kept", "package": "kept"}
    edges = [
        {"snapshot": "v1", "hash": needer, "dependency_hash": needed, "dependency": needed}
        for needer, needed in pairwise(names)
    ]
    with duckdb.connect() as connection:
        load(connection, {"pages": pages, "spec_stacks": [*specs, kept], "dependencies": edges})
        rows = connection.execute("select package, head from loss_heads order by all").fetchall()

    assert [package for package, _ in rows] == names
    assert len({head for _, head in rows}) == (1 if steps <= 64 else 2)


HEADS = st.dictionaries(st.tuples(st.sampled_from("xyz"), st.sampled_from(NAMES)), st.sampled_from(NAMES), max_size=12)


@given(drawn=HEADS)
def test_each_lost_package_is_listed_once_with_what_it_went_with_in_every_stack(drawn):
    # A head stands in its stack under itself.
    heads = {(stack, head, package) for (stack, package), head in drawn.items() if (stack, head) not in drawn}
    heads |= {(stack, head, head) for stack, head, _ in heads}
    groups = group_losses(heads)
    rows = sum_up_losses(sorted(heads))

    listed = [package for head, others in groups.items() for package in (head, *others)]
    assert sorted(listed) == sorted({package for _, _, package in heads})
    for head, others in groups.items():
        for other in others:
            assert {of for _, of, package in heads if package == other} == {head}
    assert [row[0] for row in rows] == [describe_loss(head, len(groups[head])) for head in ranked(groups, heads)]
    assert sum(row[1] for row in rows) == len(listed)


def ranked(groups, heads):
    def times(head):
        return sum(package == head for _, _, package in heads)

    return sorted(groups, key=lambda head: (-times(head), -len(groups[head]), head))


def test_a_loss_is_said_by_its_head():
    heads = [("e4s", "lima", "lima"), ("e4s", "lima", "qemu"), ("hep", "qemu", "qemu"), ("e4s", "lima", "glib")]

    assert group_losses(heads) == {"lima": ["glib"], "qemu": []}
    assert group_losses(heads, {"glib", "qemu"}) == {"glib": [], "qemu": []}
    assert sum_up_losses(heads) == [("qemu", 1, "e4s, hep"), ("lima and 1 that went with it", 2, "e4s")]
