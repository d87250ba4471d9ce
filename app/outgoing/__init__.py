"""HTTP calls to others: published keys, alert receivers and platforms."""
