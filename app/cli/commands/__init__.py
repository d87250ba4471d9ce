"""One module for each word of `vouch`; each defines `command`."""
