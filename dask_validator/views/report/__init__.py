"""The report of a run: tables (pure), figures from them, one HTML file."""
