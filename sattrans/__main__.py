"""`python -m sattrans` is the command line."""

from sattrans.cli import main

main()
