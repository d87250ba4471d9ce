"""What do we remember? Tables, transactions and migrations."""
