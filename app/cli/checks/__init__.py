"""The checks of `vouch check`, one module per subject."""
