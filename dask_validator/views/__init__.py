"""Readers of a run: terminal, notebook, live page, report."""
