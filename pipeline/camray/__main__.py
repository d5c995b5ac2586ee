"""Run the command line as ``python -m camray``."""

from camray.cli import main

if __name__ == "__main__":
    main()
