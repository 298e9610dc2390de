"""The process and its machine: files, memory, cores, signals, garbage, what libraries expect."""
