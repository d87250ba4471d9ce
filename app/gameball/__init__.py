"""Gameball's HTTP API. What follows from its answers is decided elsewhere."""
