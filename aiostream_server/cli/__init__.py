"""The commands of `aiostream-server`, one module each.

Only this room reads the process's arguments, and with `embed` the environment. Modules are imported when a command is
asked for, since the agents' libraries take seconds to load.
"""
