"""Tables as the page of a snapshot holds them: column by column, small and fast to decode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Cell = str | int | float | bool | None | Sequence[str]
Encoded = dict[str, Any]

_NUMBERS = {int, float, bool, type(None)}
_LISTS = {list, tuple}


def encode_column(values: Sequence[Cell], order: Mapping[str, str] | None = None) -> Encoded:
    """A column as JSON that deflates well and decodes fast.

    ========== ==================== ============================================================
    ``c``      the one value        every row has it
    ``w``,``t`` width, joined texts  texts of one width, no two the same, such as hashes
    ``d``,``i`` texts, positions     each text once, and a row's position among them, -1 for NULL
    ``d``,``l``,``i``                 the same for lists of texts: ``l`` has each list once
    ``v``      values               numbers and truth values
    ========== ==================== ============================================================

    Texts stand in text order, or in that of their keys in ``order``.
    """
    types = set(map(type, values))
    if len(types) == 1 and values.count(values[0]) == len(values):
        return {"c": values[0]}
    if types <= _NUMBERS:
        return {"v": list(values)}
    if types & _LISTS:
        return _encode_lists([None if value is None else tuple(_as_texts(value)) for value in values], order)
    distinct = set(values)
    if order is None and len(distinct) == len(values) and _are_codes(values):
        return {"w": len(str(values[0])), "t": "".join(map(str, values))}
    texts = _sort_texts(distinct, order)
    place: dict[Any, int] = {text: index for index, text in enumerate(texts)}
    return {"d": texts, "i": list(map({**place, None: -1}.__getitem__, values))}


def _encode_lists(values: Sequence[tuple[str, ...] | None], order: Mapping[str, str] | None) -> Encoded:
    distinct = sorted({one for one in values if one is not None})
    texts = _sort_texts({text for one in distinct for text in one}, order)
    position = {text: index for index, text in enumerate(texts)}
    place: dict[Any, int] = {one: index for index, one in enumerate(distinct)}
    return {
        "d": texts,
        "l": [[position[text] for text in one] for one in distinct],
        "i": list(map({**place, None: -1}.__getitem__, values)),
    }


def _sort_texts(values: Iterable[Cell], order: Mapping[str, str] | None) -> list[str]:
    """Texts in their order or that of their keys; NULL is left out."""
    texts = [value for value in values if isinstance(value, str)]
    return sorted(texts, key=lambda text: (order.get(text, ""), text)) if order else sorted(texts)


def _are_codes(values: Sequence[Cell]) -> bool:
    """Whether the values are ASCII texts of one width."""
    texts = [value for value in values if isinstance(value, str) and value.isascii()]
    return len(texts) == len(values) and len(set(map(len, texts))) == 1


def _as_texts(value: Cell) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value  # type: ignore[return-value]


def encode_table(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], orders: Mapping[str, Mapping[str, str]] | None = None
) -> Encoded:
    """A table as columns; ``orders`` has, by column, the keys by which its texts are sorted."""
    turned = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return {
        "rows": len(rows),
        "columns": {
            name: encode_column(list(values), (orders or {}).get(name))
            for name, values in zip(columns, turned, strict=True)
        },
    }
