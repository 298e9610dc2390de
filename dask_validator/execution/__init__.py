"""The compute edge: how tasks are cut, and where they run."""
