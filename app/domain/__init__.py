"""What does a social action earn? Pure: no clock, no database, no network."""
