"""What was promoted, looked at: the pure part."""
