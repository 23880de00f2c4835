"""Chooses the team for a question: `router` decides, with `by_rules` and `by_model`, and announces the decision.

`auxiliary` answers the questions that chat clients ask on their own, such as the title of a conversation.
"""
