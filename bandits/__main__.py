"""``python -m bandits`` is the command ``bandits``."""

from .cli import main

if __name__ == "__main__":
    main()
