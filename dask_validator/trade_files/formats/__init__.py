"""One declaration per tool; how they are read is said in `trade_files.declaration`."""
