"""Watching a run: listeners to its events, and the summary in words."""
