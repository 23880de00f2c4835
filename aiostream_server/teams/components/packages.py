"""Python packages that a component needs, and what installs them."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_EXTRAS: Final = {
    "PIL": "web-surfer",
    "aiofiles": "openai",
    "anthropic": "anthropic",
    "asyncio_atexit": "docker",
    "azure": "azure",
    "chromadb": "chromadb",
    "cv2": "video-surfer",
    "diskcache": "diskcache",
    "docker": "docker",
    "ffmpeg": "video-surfer",
    "graphrag": "graphrag",
    "httpx": "http-tool",
    "ipykernel": "jupyter-executor",
    "json_schema_to_pydantic": "http-tool",
    "langchain_core": "langchain",
    "llama_cpp": "llama-cpp",
    "magika": "file-surfer",
    "markitdown": "file-surfer",
    "mcp": "mcp",
    "mem0": "mem0",
    "nbclient": "jupyter-executor",
    "ollama": "ollama",
    "openai": "openai",
    "playwright": "web-surfer",
    "redis": "redis",
    "redisvl": "redisvl",
    "tiktoken": "openai",
    "unidiff": "canvas",
    "websockets": "docker-jupyter-executor",
    "whisper": "video-surfer",
}
"""The extra of autogen-ext 0.7.5 that installs a module. For other modules no command is suggested: a file could name a
malicious package that only waits to be installed."""


def missing_package(exc: ModuleNotFoundError) -> str:
    """Says which package is missing, and which command installs it."""
    package, _, inside = (exc.name or "").partition(".")
    extra = _EXTRAS.get(package)
    if inside and not extra:
        return f"there is no module {exc.name}"
    command = f': pip install "autogen-ext[{extra}]"' if extra else ""
    return f'the Python package "{package}" is not installed{command}'


def is_in_source(provider: str) -> bool:
    """Whether the module of a class exists and contains the name of the class. Imports nothing."""
    package, *inside, name = provider.split(".")
    spec = find_spec(package)  # finding a top-level package imports nothing
    for folder in (spec and spec.submodule_search_locations) or ():
        module = Path(folder, *inside)
        for file in (module.with_suffix(".py"), module / "__init__.py"):
            if file.is_file() and re.search(rf"\b{name}\b", file.read_text("utf-8", "replace")):
                return True
    return False
