"""``python -m pipeline`` is ``spack-warehouse``."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
