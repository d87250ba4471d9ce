"""What do we do? Each step is one transaction."""
