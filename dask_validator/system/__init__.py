"""What the operating system gives and takes: files, memory, signals, the garbage collector."""
