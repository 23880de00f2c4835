"""scripts/dev/words counts what stands in prose, and nothing that stands in code."""

from pathlib import Path

from scripts.devtools.words import is_plain, measure, private_reaches, prose, repeated_names

DIALECT = "whoever"  # in two parts, so that this file does not count itself


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_docstrings_comments_and_sentences_are_prose_and_names_are_not(tmp_path: Path) -> None:
    path = written(tmp_path, "a.py", f'"""A docstring."""\n{DIALECT} = "one-word"  # a comment\nx = "a sentence"\n')
    assert prose(path).splitlines() == ["a comment", "A docstring.", "a sentence"]


def test_markdown_counts_outside_of_code_blocks(tmp_path: Path) -> None:
    path = written(tmp_path, "a.md", f"{DIALECT} reads\n```\n{DIALECT}\n```\n")
    measured = measure([path])
    assert (measured.words, len(measured.dialect)) == (2, 1)


def test_a_clause_without_a_subject_is_found(tmp_path: Path) -> None:
    written(tmp_path, "a.md", "It stops. " + "Who" + " waits is served. The client who waits is served.")
    assert len(measure([tmp_path]).headless) == 1


def test_dialect_words_are_counted_per_thousand(tmp_path: Path) -> None:
    path = written(tmp_path, "a.md", f"{DIALECT} " + "word " * 999)
    assert measure([path]).dialect_per_thousand == 1.0


def test_prose_with_a_word_in_a_thousand_too_many_is_not_plain(tmp_path: Path) -> None:
    assert is_plain(measure([written(tmp_path, "a.md", "It stops.")]))
    assert not is_plain(measure([written(tmp_path, "b.md", f"{DIALECT} " + "word " * 999)]))


def test_names_that_stand_twice_are_found(tmp_path: Path) -> None:
    written(tmp_path, "a/errors.py", "class One: ...\nclass Two: ...\n")
    written(tmp_path, "b/errors.py", "class Two: ...\n")
    written(tmp_path, "b/__init__.py", "")
    assert repeated_names(tmp_path) == ({"errors.py": 2}, {"Two": 2})


def test_private_attributes_of_other_objects_are_counted(tmp_path: Path) -> None:
    written(tmp_path, "a.py", "class A:\n    def f(self, b):\n        return self._x, A._y, b._z, b.__class__\n")
    assert private_reaches(tmp_path) == {"a.py": 1}
