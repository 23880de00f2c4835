"""Servers of the Model Context Protocol: `transport` reaches one, `connection` is a session, `server` reconnects.

`workbench` is what agents see. AutoGen's own client waits forever for a server that does not answer, cannot be
cancelled during a call, and is never released by the process. The modules in here need the extra `mcp`.
"""
