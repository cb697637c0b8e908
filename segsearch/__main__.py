"""``python -m segsearch``."""

from segsearch.cli.app import main

main()
