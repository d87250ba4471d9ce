"""`python -m app` is `vouch`."""

from app.cli import main

main()
