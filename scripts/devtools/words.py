"""Measures prose and names: `python -m scripts.devtools.words [-v] [PATH...]`, by default the whole repository.

Prose is the text of docstrings, comments, strings with a space, and Markdown outside of code blocks. In it the measure
counts words that a reader must decode (`_DIALECT`), per 1,000 words, and clauses that begin with a bare "who".
In the package it also counts modules and classes that share a name with another one, and private reaches: `thing._name`
where `thing` is not `self`, `cls` or a class of the same module.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "aiostream_server"
DEFAULT_PATHS: Final = (
    *("aiostream_server", "tests", "docs", "examples", "benchmarks", "scripts", "configs"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
)
_DIALECT: Final = re.compile(r"\b(whoever|somebody|nobody|whose|likewise|whichever)\b", re.IGNORECASE)
_HEADLESS: Final = re.compile(r"(?:^|[.;:]\s+|, )[Ww]ho \w+")
_MAX_PER_THOUSAND: Final = 0.3
_SUFFIXES: Final = (".py", ".md", ".toml")


@dataclass(slots=True)
class Measure:
    """What was found so far, with the surroundings of each finding."""

    files: int = 0
    words: int = 0
    dialect: list[str] = field(default_factory=list)
    headless: list[str] = field(default_factory=list)

    @property
    def dialect_per_thousand(self) -> float:
        return 1000 * len(self.dialect) / max(self.words, 1)

    def add(self, name: str, text: str) -> None:
        self.files += 1
        self.words += len(re.findall(r"\w+", text))
        self.dialect += _found(_DIALECT, name, text)
        self.headless += _found(_HEADLESS, name, text)


def _found(pattern: re.Pattern[str], name: str, text: str) -> list[str]:
    surroundings = (text[max(0, match.start() - 40) : match.end() + 40] for match in pattern.finditer(text))
    return [f"{name}: ... {' '.join(part.split())} ..." for part in surroundings]


def prose(path: Path) -> str:
    """The prose of one file."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        return re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    if path.suffix == ".py":
        return "\n".join(_python_prose(text))
    return "\n".join(line.split("#", 1)[1] for line in text.splitlines() if "#" in line)


def _python_prose(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")
    seen: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, str) and " " in value and value not in seen:
            seen.add(value)
            yield value


def measure(paths: Sequence[Path]) -> Measure:
    measured = Measure()
    for path in sorted(_files(paths)):
        measured.add(str(path), prose(path))
    return measured


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
        else:
            yield from (file for file in path.rglob("*") if file.is_file() and file.suffix in _SUFFIXES)


def repeated_names(package: Path) -> tuple[Counter[str], Counter[str]]:
    """The names of modules and of classes that stand in more than one place."""
    modules: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    for file in package.rglob("*.py"):
        modules[file.name] += file.name != "__init__.py"
        classes.update(node.name for node in ast.parse(file.read_text("utf-8")).body if isinstance(node, ast.ClassDef))
    return _repeated(modules), _repeated(classes)


def _repeated(names: Counter[str]) -> Counter[str]:
    return Counter({name: count for name, count in names.items() if count > 1})


def private_reaches(package: Path) -> Counter[str]:
    """How often each module uses a private attribute of another object."""
    found = {
        str(file.relative_to(package)): _reaches(ast.parse(file.read_text("utf-8"))) for file in package.rglob("*.py")
    }
    return Counter({name: count for name, count in found.items() if count})


def _reaches(tree: ast.Module) -> int:
    own = {node.name for node in tree.body if isinstance(node, ast.ClassDef)} | {"self", "cls"}
    return sum(
        isinstance(node, ast.Attribute)
        and re.match(r"_[a-z]", node.attr) is not None
        and not (isinstance(node.value, ast.Name) and node.value.id in own)
        for node in ast.walk(tree)
    )


def report(measured: Measure, *, verbose: bool) -> str:
    modules, classes = repeated_names(PACKAGE)
    reaches = private_reaches(PACKAGE)
    lines = [*measured.dialect, *measured.headless] if verbose else []
    lines += [
        f"{measured.files} files, {measured.words} words of prose",
        f"dialect words: {len(measured.dialect)}, {measured.dialect_per_thousand:.2f} per 1,000",
        f"headless clauses: {len(measured.headless)}",
        f"module names used more than once: {len(modules)} {_counts(modules)}",
        f"class names used more than once: {len(classes)} {_counts(classes)}",
        f"private reaches: {sum(reaches.values())} in {len(reaches)} modules {_counts(reaches) if verbose else ''}",
    ]
    return "\n".join(lines)


def _counts(names: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in names.most_common())


def is_plain(measured: Measure) -> bool:
    """Whether the prose keeps to the limits of the style guide."""
    return measured.dialect_per_thousand <= _MAX_PER_THOUSAND and not measured.headless


def main() -> int:
    """Print the measures. Return 1 where `--check` is given and the prose exceeds a limit."""
    parser = argparse.ArgumentParser(prog="scripts/dev/words", description="Measures prose and names.")
    parser.add_argument("paths", nargs="*", type=Path, help="files and folders; by default everything")
    parser.add_argument("-v", "--verbose", action="store_true", help="show each finding with its surroundings")
    parser.add_argument("--check", action="store_true", help="status 1 where the prose exceeds a limit")
    options = parser.parse_args()
    measured = measure(options.paths or [ROOT / path for path in DEFAULT_PATHS])
    print(report(measured, verbose=options.verbose))
    return 1 if options.check and not is_plain(measured) else 0


if __name__ == "__main__":
    sys.exit(main())
