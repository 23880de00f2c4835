"""From the bytes and the headers of a request to a principal, a user, a conversation, and a question.

Everything here is pure, except the file of API keys, and raises errors of `errors` only.
"""
