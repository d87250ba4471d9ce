"""One module per subcommand of `vouch`. Each defines `command`."""
