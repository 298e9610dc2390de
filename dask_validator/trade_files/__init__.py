"""Trade logs of any backtester, read as one table: what a tool's file means is a declaration in `formats`."""
