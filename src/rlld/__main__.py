"""``python -m rlld`` is ``rlld``."""

from rlld.cli import main

if __name__ == "__main__":
    main()
