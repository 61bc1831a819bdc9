"""``python -m supcam``: the same door as the command ``supcam``."""

from supcam.cli import main

if __name__ == "__main__":
    main()
