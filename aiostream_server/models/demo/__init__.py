"""The demo model: rules that stand in for a language model without a key or a network, and that say so in every answer.

It answers a question only if its rules consume every word of it; otherwise it names the words it does not understand.
"""
