"""Where outcomes come from: one file for each source, which alone names its table."""
