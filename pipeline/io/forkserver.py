"""Loaded first by the process that forks the workers, which runs no other code of ours: it bounds what it loads next.

It has no thread that could see whether Python runs, since it forks; once all is loaded it hardly works itself.
"""

from pipeline.io.limits import describe_limits, limit_loading

if describe_limits():
    limit_loading()
