"""What would Gameball have said? A stand-in that shares no code with what it stands in for."""
