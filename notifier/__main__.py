"""`python -m notifier` is the command line."""

from notifier.cli import main

main()
