"""`python -m daemon` is `stopgap`."""

from daemon.cli import main

main()
