"""The rules, pure: numpy and the standard library, no I/O, no clock."""
