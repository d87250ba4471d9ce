"""Whom do we wake? What receivers of alerts read, and how it leaves."""
