"""The published site: its pages, their data as JSON, and what is written anew.

::

    facts     what every page needs of all snapshots: figures, states of stacks, what came and left
    snapshots what became of each: verdict, losses under their heads, gains
    packages  what the page of each package shows, one after the other
    stacks    what the page of each stack shows
    front     the front page and the lists: a row for each page
    grid      how a package's history looks: stacks by snapshots, ink for changes only
    shown     what a page says of its data, in words and short lists
    pages     JSON to HTML: every page is made of its own data alone
    writer    how files are written: those that differ, all at once
    site      which files there are, and which of them are made anew

Beside the pages stand what programs read: ``feed`` and ``badges``, and ``status`` for ``watch``.
"""
