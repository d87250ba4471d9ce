"""Background threads: submit due attempts, confirm rewards, send alerts and purge old rows."""
