"""The data-analysis team: a question in words, a checked query, an answer from the rows.

SQLAgent drafts a query against the real schema -> ValidationAgent (code around the SQL guard) approves or blocks it ->
Database runs it, read-only -> AnalysisAgent answers from the rows. A blocked or failed query goes back to SQLAgent, a
bounded number of times. Only approved queries run. With `ask_first`, ApprovalAgent (code) asks the user before each.
"""

from aiostream_server.teams.data.team import build

__all__ = ["build"]
