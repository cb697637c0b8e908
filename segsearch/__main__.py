"""``python -m segsearch``."""

from segsearch.cli.main import main

main()
