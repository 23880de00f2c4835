"""`provider = "openai"`: any service that speaks OpenAI's chat completions; AutoGen components for OpenAI and Azure.

A request goes `messages` -> `request` -> `provider`; an answer comes back `push_reader` -> `answer_reader` -> `chunks`.
"""
