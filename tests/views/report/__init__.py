"""Tests of the report: its tables, the commands that write it, the page in a browser."""
