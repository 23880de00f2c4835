"""The demo model: rules that stand in for a language model, and say so wherever they speak.

It needs no key and no network, and really calls the tools it is given, so that a fresh machine can show a whole team at
work. Modules by the way an answer goes: `conversation` reads the request, `reply` picks a skill, a skill decides what
is said or called (`assistant`, `sql_agent`, `analyst`, `classifier`, `role`), and `provider` streams it.
"""
