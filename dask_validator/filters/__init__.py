"""Which days a strategy trades, as data: entries of rules files, and what chooses among them. Pure, without DuckDB."""
