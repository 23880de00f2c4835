"""Stream a team's answer: python stream_client.py http://127.0.0.1:8000 "What is 15% of 850?" [MODEL]"""

import asyncio
import json
import sys

import aiohttp


async def stream(url: str, question: str, model: str = "auto") -> None:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": question}]}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)  # a team may take minutes, but it is never silent
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session,
        session.post(f"{url}/v1/chat/completions", json=body) as response,
    ):
        if response.status != 200:
            sys.exit((await response.json())["error"]["message"])
        async for line in response.content:  # `data: {...}`, an empty line, or `: heartbeat`
            if line.startswith(b"data: {"):
                frame = json.loads(line[6:])
                if "error" in frame:
                    sys.exit(frame["error"]["message"])
                for choice in frame["choices"]:  # the usage frame has none
                    print(choice["delta"].get("content", ""), end="", flush=True)
    print()


if __name__ == "__main__":
    asyncio.run(stream(*sys.argv[1:]))
