"""Masks paths, addresses, connection strings and keys in the text of an error: what belongs to this machine.

An error of a library names what it could not reach, and a user is shown the error.
"""

import re
from typing import Final

MASK: Final = "…"
_PATH: Final = (
    r"(?<=')(?:/|[A-Za-z]:\\)[^'\n]+(?=')"  # quoted, as OSError does: may hold spaces
    r"|(?<=\")(?:/|[A-Za-z]:\\)[^\"\n]+(?=\")"
    r"|\b(?:file|sqlite[\w+]*):/+[^\s'\"]*"
    r"|(?<![\w/.])(?:/[\w.@+~-]+){2,}/?"
    r"|\b[A-Za-z]:\\[^\s'\"]+"
    r"|\\\\[\w.-]+\\[^\s'\"]+"
)
_NUMBER: Final = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_ADDRESS: Final = (
    r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s'\"<>]+"  # a URL, with what is in front of its host
    rf"|(?<![\w.])(?:{_NUMBER}\.){{3}}{_NUMBER}(?![\w.]\d)(?::[0-9]{{1,5}})?"
    r"|\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?"
    r"|(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}(?![\w:])"
    r"|(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}(?![\w:])|(?<![\w:])::1(?![\w:])"
    r"|(?<![\w.@-])[A-Za-z][\w-]*(?:\.[\w-]+)*:[0-9]{4,5}\b"  # host:port
    r"|(?<![\w.-])localhost\b(?::[0-9]{1,5})?"
    r"|(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.(?:internal|local|lan|intranet|corp|svc|localdomain|cluster\.local)\b(?::[0-9]{1,5})?"
    r"|(?<=connect to host )[\w.-]*[\w-]|(?<=resolve host )[\w.-]*[\w-]"
    r"|(?<=\bhost ['\"])[^'\"]+(?=['\"])"
    r"|(?<=\bserver at ['\"])[^'\"]+(?=['\"])"
)
_SETTING: Final = (
    r"(?<=[\s;(\"'])(?:password|passwd|pwd|api_key|host|hostaddr|dbname)=(?:'[^']*'|[^\s;,)\"']+)"
    r"|^(?:password|passwd|pwd|api_key|host|hostaddr|dbname)=(?:'[^']*'|[^\s;,)\"']+)"
)
_KEY: Final = (
    r"(?<![\w-])(?:sk|pk|rk|ghp|gho|xox[abp]|aio)[-_][\w*-]{8,}|(?<=Bearer )[\w.~+/-]{8,}=*|\bAKIA[0-9A-Z]{12,}"
)
_INSIDE: Final = re.compile(f"{_PATH}|{_ADDRESS}|{_SETTING}|{_KEY}")


def masked(text: str) -> str:
    return _INSIDE.sub(MASK, text)
