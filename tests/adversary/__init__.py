"""Attacks on a run, by neighbours, files, web pages and databases; `make adversary` runs them all."""
