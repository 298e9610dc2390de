"""Which filter a strategy means: the same from every side, without a database."""
