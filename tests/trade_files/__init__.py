"""Reading the trade logs of other tools."""
