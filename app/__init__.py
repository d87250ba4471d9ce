"""Vouch turns social actions into Gameball rewards."""

__version__ = "0.1.0"
