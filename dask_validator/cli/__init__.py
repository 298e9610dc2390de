"""The command line: one file for the commands, one for their flags, two for how they end."""
