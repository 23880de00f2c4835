"""What outlives a run: what teams remember of conversations (SQLite or PostgreSQL), and files on disk.

`conversations` and `files` are opened once per server; `run_files` is what code inside a run uses.
"""
