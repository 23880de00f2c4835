"""`provider = "llama.cpp"`: a model on this machine, run by llama.cpp's own server in a child process.

`supervisor` starts and stops the process; `openai/` talks to it; `tool_prompts` and `reply_reader` let models call
tools even if their chat template does not support them.
"""
