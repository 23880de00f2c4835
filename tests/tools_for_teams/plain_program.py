"""An MCP server without a library, which starts fast and can misbehave: `python plain_program.py MODE PID_FILE`.

* works       correctly, and also prints lines that are not messages
* silent      never answers
* babbles     prints only lines that are not messages
* dies        writes the reason to stderr and ends
* crashes     ends in the middle of a call
* mute        answers everything but calls
* ignores     answers everything but calls; ignores SIGTERM and the end of its input, and has a child that does too
* once        works for one call, and ends at the second
"""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

CALLS = count()
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
TOOLS = [
    {"name": "echo", "description": "Say it again.", "inputSchema": {"type": "object", "properties": {"text": {}}}},
    {"name": "list.files", "description": "", "inputSchema": {"type": "object", "properties": {}}},
]


def begin(mode: str, pid_file: str) -> None:
    started = [os.getpid()]
    if mode == "ignores":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        started.append(subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"]).pid)
    with Path(pid_file).open("a") as pids:
        pids.writelines(f"{pid}\n" for pid in started)
    if mode == "dies":
        sys.exit(f"cannot read the token {os.environ.get('TOKEN')}: no such file")
    while mode == "babbles":
        print("\x1b[31mstarting up, please wait {", flush=True)
        time.sleep(0.01)


def result_of(message: dict[str, Any], mode: str) -> dict[str, object] | None:
    match message["method"]:
        case "initialize":
            version = message["params"]["protocolVersion"]
            info = {"name": "plain", "version": "1"}
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            print("debug: a line that is not a message", flush=True)
            return {"tools": TOOLS}
        case "tools/call" if mode not in ("mute", "ignores"):
            if mode == "crashes" or (mode == "once" and next(CALLS)):
                sys.exit(7)
            if message["params"].get("arguments", {}).get("text") == "picture":
                return {"content": [{"type": "image", "data": PICTURE, "mimeType": "image/png"}]}
            said = dict(os.environ) if message["params"]["name"] == "list.files" else message["params"]
            return {"content": [{"type": "text", "text": json.dumps(said)}]}
        case "ping":
            return {}
    return None


def main(mode: str, pid_file: str) -> None:
    begin(mode, pid_file)
    for line in sys.stdin:
        message = json.loads(line)
        result = None if "id" not in message or mode == "silent" else result_of(message, mode)
        if result is not None:
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
    while mode == "ignores":
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
