"""The tools of the built-in teams: `sql` queries databases, `calculator` computes, `chart` draws.

They know nothing of agents; `teams` wraps them as AutoGen tools.
"""
