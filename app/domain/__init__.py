"""Pure rules of what a social action earns: no clock, no database, no network."""
