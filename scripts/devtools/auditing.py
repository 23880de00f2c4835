"""`scripts/dev/audit`: reports known vulnerabilities of the locked packages, as pip-audit finds them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_LOCK: Final = _ROOT / "requirements" / "service.txt"
_ACCEPTED: Final = _ROOT / "requirements" / "accepted-vulnerabilities.txt"
_ENTRY: Final = re.compile(r"(?P<id>\S+)\s+#\s*\S.*")
_NO_NETWORK: Final = re.compile(r"connect|timed? ?out|resolve|unreachable|proxy|50\d", re.IGNORECASE)
_TIMEOUT_S: Final = 300


def main() -> int:
    """Return the status: 1 for a known vulnerability that is not accepted."""
    try:
        accepted = read_accepted(_ACCEPTED.read_text("utf-8"))
    except ValueError as exc:
        print(f"{_ACCEPTED.relative_to(_ROOT)}: {exc}")
        return 1
    answer, said = _ask(accepted)
    status, lines = judge(answer, said)
    print("\n".join(lines))
    return status


def read_accepted(text: str) -> list[str]:
    """The ids of accepted vulnerabilities. Raises `ValueError` for one without a reason."""
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    entries = [_ENTRY.fullmatch(line) for line in lines]
    for line, entry in zip(lines, entries, strict=True):
        if entry is None:
            raise ValueError(f"`{line}` is no id followed by # and the reason why it is accepted")
    return [entry["id"] for entry in entries if entry]


def judge(answer: str, said: str) -> tuple[int, list[str]]:
    """The status and the lines to print, from pip-audit's JSON and stderr. Without a database nothing is audited."""
    if not answer.strip():
        last = said.strip().splitlines()[-1:] or ["pip-audit said nothing"]
        return (0, _not_audited(last[0])) if _NO_NETWORK.search(last[0]) else (1, said.strip().splitlines() or last)
    packages = json.loads(answer)["dependencies"]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        return 0, _not_audited("it knows none of the packages")
    lines = [
        f"{package['name']} {package['version']}: {found['id']}, repaired in {', '.join(found['fix_versions']) or '-'}"
        for package in packages
        for found in package.get("vulns", [])
    ]
    if lines:
        return 1, [
            *lines,
            f"scripts/dev/lock --upgrade, or a reason in {_ACCEPTED.relative_to(_ROOT)}",
        ]
    if unknown:
        lines.append(f"not in the database: {', '.join(unknown)}")
    return 0, [*lines, f"{len(packages) - len(unknown)} locked packages have no known vulnerability"]


def _not_audited(why: str) -> list[str]:
    return [f"NOT AUDITED: the vulnerability database cannot be reached ({why})"]


def _ask(accepted: list[str]) -> tuple[str, str]:
    tools = subprocess.run([_ROOT / "scripts" / "dev" / "build-tools"], stdout=subprocess.PIPE, text=True, check=True)
    program = Path(tools.stdout.strip()) / "pip-audit"
    options = ["--requirement", str(_LOCK), "--disable-pip", "--require-hashes"]
    options += ["--progress-spinner=off", "--timeout=15", "--format=json"]
    ignored = [word for vulnerability in accepted for word in ("--ignore-vuln", vulnerability)]
    done = subprocess.run(
        [program, *options, *ignored], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    return done.stdout, done.stderr


if __name__ == "__main__":
    sys.exit(main())
