"""The DuckDB edge: opens the database, reads and writes the tables of strategies, setups and runs."""
