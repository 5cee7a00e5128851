"""Where a build works, as its user names it."""

from __future__ import annotations

import re
from typing import NamedTuple

NEITHER = "is neither local:N nor dask:ADDRESS, such as dask:tcp://node1:8786"


class Workplace(NamedTuple):
    """Where a build works: in ``jobs`` processes of this machine, by default one a processor, or on a Dask cluster,
    whose scheduler's address is ``cluster``.
    """

    jobs: int | None = None
    cluster: str | None = None


HERE = Workplace()


def parse_workers(text: str) -> Workplace:
    """What ``local:N`` or ``dask:ADDRESS`` names, as in ``dask:tcp://node1:8786``, the address that a scheduler prints.

    Raises:
        ValueError: it is neither.
    """
    if local := re.fullmatch(r"local:([1-9][0-9]{0,4})", text, re.ASCII):
        return Workplace(int(local[1]))
    if cluster := re.fullmatch(r"dask:((?:tcp|tls)://[^\s/@]+:[0-9]{1,5})", text, re.ASCII):
        return Workplace(cluster=cluster[1])
    raise ValueError(f"{text!r} {NEITHER}")
