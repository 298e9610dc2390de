"""The compute edge: where tasks run."""
