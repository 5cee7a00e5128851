"""What a cache is expected to hold: lists and what all kinds of files have in common, environments, lock files."""
