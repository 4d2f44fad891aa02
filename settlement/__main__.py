"""Run the command line as ``python -m settlement``."""

from settlement.cli.main import main

if __name__ == "__main__":
    main()
