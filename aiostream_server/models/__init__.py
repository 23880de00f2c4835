"""Streaming model clients: AutoGen's client protocol over any provider, with tokens handed straight to the run.

`registry` opens the configured models; `client` streams from a `provider`: `openai/`, `llama_cpp/`, `demo/`, or any
AutoGen component.
"""
