"""The database edge."""
