"""When do we do it? Turns what is due into submissions."""
