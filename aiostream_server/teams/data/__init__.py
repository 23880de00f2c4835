"""The data-analysis team: a question in words, a checked query, an answer from the rows.

SQLAgent drafts a query against the real schema -> ValidationAgent, which is code around the guard, approves or blocks
it -> Database runs it, read-only -> AnalysisAgent answers from the rows. A blocked or failed query goes back to
SQLAgent, a bounded number of times. Nothing is executed that the guard has not approved; and where the team asks first
(ApprovalAgent, code, too), nothing that the user has not said yes to.
"""

from aiostream_server.teams.data.team import build

__all__ = ["build"]
