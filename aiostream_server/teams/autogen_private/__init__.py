"""Everything that depends on AutoGen's private names, of the pinned version 0.7.5.

No other room reads a private attribute of AutoGen, patches a class of it or imports a private module: it calls a
function here. `tests/teams/test_autogen_private.py` names each private name and says what breaks without it.
"""
