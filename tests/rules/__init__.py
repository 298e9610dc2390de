"""The rules against their slow twin, published numbers and hand-made cases."""
