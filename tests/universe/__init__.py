"""Tests of the worlds without an edge."""
