"""Imported in the process from which workers are forked: what they write on stderr is not for the user.

Whatever goes wrong in a worker arrives as a value; a traceback of Dask's on the terminal would be said by nobody.
"""

import os

_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
os.close(_nowhere)
