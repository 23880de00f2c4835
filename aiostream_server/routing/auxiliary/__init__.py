"""Auxiliary questions, which chat clients ask beside the conversation (a title, tags), and their cheap answers."""
