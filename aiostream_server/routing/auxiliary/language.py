"""Names the language of a question, in English, as LibreChat asks for it beside a title. A guess: few words decide."""

import re
from typing import Final

_READ_CHARS: Final = 1_000
_SCRIPTS: Final = (
    ("Japanese", re.compile(r"[\u3040-\u30ff]")),
    ("Korean", re.compile(r"[\uac00-\ud7af]")),
    ("Chinese", re.compile(r"[\u4e00-\u9fff]")),
    ("Ukrainian", re.compile(r"[іїєґ]", re.IGNORECASE)),
    ("Russian", re.compile(r"[\u0400-\u04ff]")),
    ("Arabic", re.compile(r"[\u0600-\u06ff]")),
    ("Hebrew", re.compile(r"[\u0590-\u05ff]")),
    ("Greek", re.compile(r"[\u0370-\u03ff]")),
    ("Hindi", re.compile(r"[\u0900-\u097f]")),
    ("Bengali", re.compile(r"[\u0980-\u09ff]")),
    ("Thai", re.compile(r"[\u0e00-\u0e7f]")),
    ("Vietnamese", re.compile(r"[ạảấầẩẫậắằẳẵặẹẻẽếềểễệịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹđơư]", re.IGNORECASE)),
)
_FREQUENT: Final = {
    "English": "the is are was what which how who why where when can you do does of in to and for my me please",
    "German": "der die das ist sind war was welche wie wer warum wo wann kannst du und für mein mir bitte ein",
    "French": "le la les est sont quel quelle quels comment qui pourquoi où quand peux tu vous et pour mon des une du",
    "Spanish": "el la los las es son cuál cuáles qué cómo quién por dónde cuándo puedes y para mi una del en favor",
    "Italian": "il lo la gli è sono quale quali che come chi perché dove quando puoi e per mio una del della nel",
    "Portuguese": "o a os as é são qual quais que como quem onde quando pode você e para meu uma do da em por",
    "Dutch": "de het is zijn was wat welke hoe wie waarom waar wanneer kun je en voor mijn een van in",
    "Turkish": "ne nasıl kim neden nerede hangi kaç ve için bir mi mı bu",
    "Polish": "jest są co jak kto dlaczego gdzie kiedy i dla mój w na czy",
    "Swedish": "är vad hur vem varför var när kan du och för min en ett i vilken",
}
_WORDS: Final = {language: frozenset(words.split()) for language, words in _FREQUENT.items()}


def language_of(text: str) -> str:
    head = text[:_READ_CHARS]
    for language, letters in _SCRIPTS:
        if letters.search(head):
            return language
    said = re.findall(r"[^\W\d_]+", head.lower())
    counts = {language: sum(word in frequent for word in said) for language, frequent in _WORDS.items()}
    return max(counts, key=lambda language: counts[language])  # English where none is found: it is the first
