"""Servers of the Model Context Protocol: `transport` reaches one, `connection` is a session with it, `server` opens
that again when it was lost, `workbench` is what agents see. Not AutoGen's own client: that waits for ever for a server
that does not answer, cannot be cancelled in the middle of a call, and is never forgotten by the process.

Importing what is in here needs the extra `mcp`.
"""
