"""What is said in words, stated once for terminal, notebook, report and live page."""
