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
    r"(?<![A-Za-z])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s'\"<>]+"  # a URL, with what is in front of its host
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
    r"|(?<=\(['\"])[\w.:-]+(?=['\"], [0-9]{2,5}\))"  # ('host', 5432)
    r"|(?<=, user \")[^\"]+(?=\",)|(?<=, database \")[^\"]+(?=\",)"  # PostgreSQL: no pg_hba.conf entry
    r"|(?<=\blookup )[\w.-]+(?= on |:)|(?<=\bconnect to port )[0-9]{1,5} on [\w.:-]+(?: or [\w.:-]+)*"
    r"|\b(?:uid|cn|ou|dc)=[^,'\"\s)]+(?:,(?:uid|cn|ou|dc|o|c)=[^,'\"\s)]+)+"  # LDAP
)
# What a program was called with, and a statement: passwords and data.
_CALLED: Final = (
    r"(?<=\bCommand ')[^\n]{1,4000}?(?=' (?:returned non-zero|timed out|died with))"
    r"|(?<=\[parameters: )[^\n]{1,4000}(?=\])"
)
_SETTING: Final = (
    r"(?<=[\s;(\"'])(?:password|passwd|pwd|api_key|host|hostaddr|dbname)=(?:'[^']*'|[^\s;,)\"']+)"
    r"|^(?:password|passwd|pwd|api_key|host|hostaddr|dbname)=(?:'[^']*'|[^\s;,)\"']+)"
)
_KEY: Final = (
    r"(?<![\w-])(?:sk|pk|rk|ghp|gho|xox[abp]|aio)[-_][\w*-]{8,}|(?<=Bearer )[\w.~+/-]{8,}=*|\bAKIA[0-9A-Z]{12,}"
)
# Keys by their shape: of known makers, JSON Web Tokens, and long words of hexadecimal or mixed characters.
_SHAPED: Final = (
    r"(?<![\w-])(?:(?:hf|gsk|r8|tgp|xai|nvapi|pplx|glpat|github_pat)[-_][\w-]{8,}|(?:AIza|ASIA|ya29\.)[\w-]{12,}"
    r"|eyJ[\w-]{8,}(?:\.[\w-]+){0,2}"
    r"|(?=[a-z-]{0,40}[0-9])[0-9a-f]{24,}(?![\w-])"
    r"|(?=[A-Za-z]{0,40}[0-9])(?=[a-z0-9]{0,40}[A-Z])(?=[A-Z0-9]{0,40}[a-z])[A-Za-z0-9]{24,}(?![\w-]))"
)
_INSIDE: Final = re.compile(f"{_CALLED}|{_PATH}|{_ADDRESS}|{_SETTING}|{_KEY}|{_SHAPED}")

# What names a value that is masked. The name stays.
_VALUE: Final = r"(?:'[^'…][^']{0,200}'|\"[^\"…][^\"]{0,200}\"|(?!['\"…])[^\s;,&'\")}\]]{1,200})"
_AFTER: Final = re.compile(
    r"(?P<name>(?i:"
    r"(?:password|passwd|pwd|secret|api[ _-]?key|access[ _-]?key|account[ _-]?key|private[ _-]?key|credentials?)"
    r"['\"]?[ ]?[:=][ ]?|\bauthorization['\"]?[ ]?[:=][ ]?(?:basic|bearer)[ ]|\b(?:basic|bearer)[ ](?=[\w+/-]{8})"
    r"|[?&;](?:sig|key|token|code)=|\b(?:token|jwt)=(?=[\w.-]{8})|\b(?:api[ _-]?key|token)[ ](?:provided: |(?=['\"]))"
    r"|\b(?:server|data[ ]source|host|hostname|hostaddr|database|initial[ ]catalog|dbname|user[ ]id|uid|accountname"
    r"|service_name|sid)="
    r"|(?-i:\b[A-Z][A-Z0-9_]{0,60}_(?:TOKEN|SECRET|KEY|PASSWORD|CREDENTIALS))['\"]?[:=][ ]?"
    r"|(?<=['\"])(?:host|hostname|server|database|dbname|dsn)['\"]:[ ]?"
    r"|(?:connecting[ ]to|host[ ]name|failed[ ]to[ ]resolve|server[ ]on|\bfor[ ]user|\bnot[ ]known:)"
    r"[ ](?=['\"])|\bdatabase[ ](?=['\"][^'\"]{1,200}['\"] does not exist)"
    r"|\b(?:connecting[ ]to|not[ ]known:|servname[ ]provided[ ]for)[ ](?=[\w.-]*[:.-])"
    r"|\[Errno[ ]-?[0-9]{1,5}\][^:'\"\n]{1,80}:[ ](?=['\"])"
    r"))"
    rf"{_VALUE}(?P<host>@'[^']{{1,200}}')?"
)


def masked(text: str) -> str:
    return _AFTER.sub(rf"\g<name>{MASK}", _INSIDE.sub(MASK, text))
