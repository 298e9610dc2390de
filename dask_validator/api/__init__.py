"""The composition root: the calls of the Python interface, and the parts of them that the commands are made of too."""
