"""What survives a crash, tested by crashing."""
