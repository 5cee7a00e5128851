"""Tables as the page of a snapshot holds them: column by column, small and fast to decode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Cell = str | int | float | bool | None | Sequence[str]
Encoded = dict[str, Any]


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
    if values and all(value == values[0] and type(value) is type(values[0]) for value in values):
        return {"c": values[0]}
    if all(value is None or isinstance(value, int | float) for value in values):
        return {"v": list(values)}
    if order is None and _are_codes(values):
        return {"w": len(str(values[0])), "t": "".join(map(str, values))}
    lists = [None if value is None else tuple(_as_texts(value)) for value in values]
    texts = sorted({text for one in lists if one is not None for text in one}, key=lambda text: _rank(text, order))
    position = {text: index for index, text in enumerate(texts)}
    if not any(isinstance(value, list | tuple) for value in values):
        return {"d": texts, "i": [-1 if one is None else position[one[0]] for one in lists]}
    distinct = sorted({one for one in lists if one is not None})
    place = {one: index for index, one in enumerate(distinct)}
    return {
        "d": texts,
        "l": [[position[text] for text in one] for one in distinct],
        "i": [-1 if one is None else place[one] for one in lists],
    }


def _are_codes(values: Sequence[Cell]) -> bool:
    """Whether the values are ASCII texts of one width, no two the same."""
    texts = [value for value in values if isinstance(value, str) and value.isascii()]
    return len(texts) == len(values) == len(set(texts)) and len({len(text) for text in texts}) == 1


def _as_texts(value: Cell) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value  # type: ignore[return-value]


def _rank(text: str, order: Mapping[str, str] | None) -> tuple[str, str]:
    return (order.get(text, "") if order else "", text)


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
