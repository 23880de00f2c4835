"""`provider = "llama.cpp"`: a model on this machine, run by llama.cpp's own server in a child process.

That server speaks OpenAI's API, so `models.openai` asks it; what is here starts it, keeps it and ends it, and lets
models call tools whose chat template knows of none.
"""
