"""The DuckDB edge: the only package that opens the database."""
