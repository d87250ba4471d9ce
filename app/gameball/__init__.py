"""Whom do we tell? Gameball's HTTP API, and nothing of what we do about its answers."""
