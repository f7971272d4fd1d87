"""`python -m racm3` is `racm3`."""

from racm3.interfaces.cli import main

if __name__ == "__main__":
    main()
