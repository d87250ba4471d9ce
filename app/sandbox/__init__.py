"""A stand-in for Gameball that shares no code with the rest of Vouch."""
