"""What `scripts/install` does: a virtual environment, a configuration, units, and the way back.

It needs nothing but Python 3.11 and its standard library, and runs from the source tree that it installs.
"""
