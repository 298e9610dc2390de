"""One run: what is asked, screening, judging, the commit, and what is left of it."""
