"""The command line: a file for each kind of command, one for all flags, and how commands begin and end."""
