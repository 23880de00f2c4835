"""The words by which chat apps ask for titles, tags and summaries, in the languages that they are translated to.

English sentences are matched by their structure (`instructions`); of the other languages a word for the title and one
for the conversation must stand near each other. Each pattern is one alternation without nested repetition.
"""

import re
from typing import Final


def _any_of(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


_DIGITS: Final = r"\d{1,4}|[一二两三四五六七八九十百]{1,3}"
_NUMBER: Final = (
    r"(?:\d{1,4}|one|two|three|four|five|six|seven|eight|nine|ten|fifteen|twenty|couple|few|zwei|drei|vier|fünf|sechs|"
    r"deux|trois|quatre|cinq|six|tres|cuatro|cinco|seis|tre|quattro|cinque|sei|três|quatro|tr[eé]ch|четыр\w+|пят\w+|"
    r"шест\w+|dört|beş|altı|čtyři|pět|štyri|štvor\w*|päť\w*|fire|fem|fyra|sex|cztery|czterech|pięć|pięciu|vijf|bốn|"
    r"năm|empat|lima|أربع|خمس|চার|পাঁচ\w*)"
)
_UNIT: Final = (
    r"(?:words?|characters?|chars?|letters|tokens|wörte\w*|worten?|zeichen|mots?|caractères|palabras?|caracteres|"
    r"parole|caratteri|palavras?|слов\w*|символ\w*|kelime\w*|karakter\w*|slov\w*|znak\w*|ord|tegn|tecken|słów|słowa|"
    r"woorden|tekens|từ|kata|كلم\w+|শব্দ\w*)"
)
BOUND: Final = _any_of(
    rf"{_NUMBER}\W{{0,3}}(?:[^\W\d]{{1,12}}\W{{1,3}}|\d{{1,4}}\W{{1,3}}){{0,4}}?{_UNIT}\b",
    rf"(?:{_DIGITS})\s{{0,2}}(?:[到至~〜～から-]{{1,2}}\s{{0,2}}(?:{_DIGITS})\s{{0,2}})?[个個]?\s{{0,2}}(?:字|词|詞|"
    rf"文字|単語|글자|단어|자\s?이내)",
    r"글자",
    r"\b(?:up to|at most|maximum(?: of)?|no more than|max\.?|不超过|不超過|最多)\s{0,2}(?:\d|one|two|three|four|five|"
    r"six|ten)",
    r"\b\d{1,2} ?(?:[-–~]|to) ?\d{1,2} (?:\w+ ){0,2}(?:tags|topics)\b",
)
"""A limit of length: "3-5 words", "四到五个字"."""

ONLY: Final = _any_of(
    r"\bonly (?:the|with|return|respond|reply|output|give|provide|include|answer|write|print|a |an |one )",
    r"\b(?:return|respond|reply|output|give|provide|answer|write|print|title|name|text)s?(?: with)? only\b",
    r"\bjust (?:the|return|respond|reply|output|give|provide|answer|write) ",
    r"\bnothing (?:else|more)\b",
    r"\b(?:no|without(?: any)?|not (?:include|add|output|provide)(?: any)?|don't (?:include|add|output)(?: any)?|"
    r"never add) (?:other |additional |extra |further |any |lead-in|preamble|explan|comment|prefix|intro|prose|text)",
    r"(?:anything|everything) (?:else|except|but|other)\b",
    r"只(?:返回|输出|給|给|需|回|要)|仅(?:返回|输出)|直接(?:返回|输出)|不要(?:解释|多余|添加|输出)|(?:のみ|だけ)(?:を|"
    r"返|出|で)|余計な|説明(?:、|は)|만 (?:반환|출력|답)|설명이?나?|불필요",
    r"\b(?:nur|lediglich|ausschließlich)\b.{0,30}\b(?:titel|thema|text|name)|sonst nichts|nichts anderes|"
    r"ohne .{0,20}(?:erklär|zusätz|einleit)",
    r"\b(?:uniquement|seulement|rien d'autre|sans (?:explication|texte|introduction))",
    r"\b(?:solo|solamente|únicamente|nada más|sin (?:explicac|texto|introducc)|senza (?:spiegaz|testo)|soltanto|"
    r"nient'altro)",
    r"\b(?:apenas|somente|sem (?:explica|texto|qualquer introd)|mais nada)",
    r"\b(?:только|без (?:объяснен|лишн|пояснен)|ничего (?:больше|лишнего|кроме))",
    r"\b(?:sadece|yalnızca)\b|açıklama yapm|eklemeyin|\bbez (?:vysvětl|akéhokoľvek|dodatk|wyjaśn)|\bpouze\b|\btylko\b|"
    r"\buten (?:forklaring|ekstra)|\buden forklaring|\bbara (?:titel|rubrik)|\balleen de\b|không giải thích|"
    r"tanpa penjelasan|بدون شرح|ব্যাখ্যা",
)
"""Nothing but what is asked for."""

MARKS: Final = _any_of(
    r"punctuation|quotation|\bquotes?\b|quote marks|markdown|title case|sentence case|capitali[sz]|lowercase|"
    r"\bemojis?\b|special (?:characters|symbols|formatting)|标点|標點|引号|引號|符号|加粗|句読点|記号|太字|문장 부호|"
    r"따옴표",
    r"satzzeichen|anführungszeichen|fettdruck|ponctuation|guillemets|puntuación|comillas|punteggiatura|virgolette|"
    r"pontuação|aspas|знак\w* препинания|кавыч\w+|noktalama|tırnak|interpunk\w+|úvodzov\w+|uvozov\w+|anførselstegn|"
    r"tegnsæ?t\w+|skiljetecken|cudzysłow\w+|aanhalingstekens|leestekens|dấu câu|tanda baca|علامات|বিরাম",
)
"""How the answer may be written."""

LANGUAGE: Final = _any_of(
    r"\b(?:in|use|using|match(?:es|ing)?|keep|detect\w*|consistent with|same)\b.{0,30}\blanguages?\b|\blanguage (?:of|"
    r"used|specified)",
    r"语言|語言|言語|\bUse (?:简体中文|繁體中文|日本語|한국어|Русский|[A-Z][a-zç]{3,12})\.",
)
"""Which language the answer is in."""

KEY: Final = _any_of(r'"(?:title|name|topic|tags|summary)"\s{0,3}:', r"<title>|</title>|\bsubmit_title\b")
"""The field that the answer goes into."""

CUE: Final = _any_of(
    r"(?:\b(?:title|name is|name|topic|summary|titel|titre|título|tags)|标题|標題|主题|タイトル|"
    r"제목)\s{0,2}[:：]\s{0,3}\Z",
    r"\b(?:as|in|with|valid|return|output|only)\b.{0,20}\bJSON\b|comma[- ]separated|分隔",
)
"""The form of the answer."""

TITLE: Final = _any_of(
    r"标题|標題|主题|主題|题目|題目|起名|命名|取名|名称|名稱|タイトル|テーマ|題名|件名|제목|주제",
    r"\b(?:titel\w*|überschrift\w*|thema|titres?|sujet|thème|títulos?|tema|asunto|titolo|argomento|assunto|judul|"
    r"topik)\b",
    r"\b(?:заголов\w+|назван\w+|тем[ауые]|başlı[kğ]\w*|téma\w*|titul\w*|názv?e?v\w*|overskrift\w*|tema\w*|emne\w*|"
    r"tittel|rubrik|ämne|tytuł\w*|temat\w*|onderwerp)\b",
    r"tiêu đề|chủ đề|عنوان|موضوع|ملخص|থিম|শিরোনাম|शीर्षक|כותרת",
)
"""A title, in another language than English."""

CHAT: Final = _any_of(
    r"对话|對話|会话|會話|聊天|闲聊|这句话|這句話|用户的?(?:首条|第一条)?(?:消息|输入|问题)|会話|対話|チャット|この文|"
    r"대화|채팅|이 문장",
    r"\b(?:gespräch\w*|unterhaltung|konversation\w*|chats?|chatverlauf|dialog\w*|nachricht des|conversation|"
    r"discussion|échange|cette phrase|conversaci[oó]n|charlas?|esta frase|questa frase|conversazione|conversa|"
    r"conversação|discussão)\b",
    r"\b(?:бесед\w+|диалог\w*|разговор\w*|чат\w?|сообщени\w+|переписк\w+|sohbet\w*|konuşma\w*|cümle\w*|"
    r"konverz[aá]c\w+|diskusi\w+|rozhovor\w*|této věty|samtale\w*|samtal\w*|om emnet|av temaet|rozmow\w+|gesprek\w*|"
    r"percakapan|obrolan|kalimat ini)\b",
    r"trò chuyện|câu này|محادثة|دردشة|الجملة|কথোপকথন|আলোচনা|বাক্য|वार्तालाप|बातचीत|שיחה",
)
"""A conversation, in another language than English."""

SUMMARY: Final = _any_of(
    r"\bsummar\w+|\brecap\b|\bcondense\w*|\bcompact\w*|总结|總結|概括|摘要|要約|요약",
    r"\b(?:zusammen\w+|fassen? sie|résum\w+|resum\w+|riassum\w+|итоги?|кратк\w+|özet\w*|shr[nň]\w*|zhr[nň]\w*|"
    r"oppsummer\w*|sammanfatt\w+|streść|podsumuj|vat samen|samenvat\w+|ringkas\w*)\b",
    r"tóm tắt|تلخيص|সারাংশ|סכם",
)

CONTEXT: Final = _any_of(
    r"\b(?:future|subsequent|later|follow-?up|following|next|ongoing|maintain\w*|preserv\w+|essential|as|"
    r"long-term) (?:\w+ ){0,2}(?:context|prompts?|memory|continuity)\b",
    r"\b(?:needed|able|used|helpful|necessary|important)(?: \w+){0,3} (?:to|for|when) continu\w+",
    r"\bcontinu\w+ (?:the |our |this |your )?(?:conversation|work|task|discussion|session|seamlessly)",
    r"\bprior to compaction\b|\bcontext window\b|\bnew session\b|上下文|コンテキスト|컨텍스트|후속",
    r"\b(?:kontext\w*|contexte|contexto|contesto|контекст\w*|bağlam|kontekst\w*|konteks)\b|ngữ cảnh|سياق|কনটেক্সট|"
    r"til senere brug",
)
"""What a summary is for: the next prompt, not a reader."""

TAGS: Final = _any_of(r"\b(?:tags?|schlagw\w+|étiquettes|etiquetas|etichette|теги?)\b|标签|標籤|タグ|태그")

ASKED: Final = _parts(
    "titl, name, naming, topic, heading, label, summar, recap, condens, compact, tags, continuing, titel, "
    "überschrift, thema, fassen, titre, sujet, thème, résum, título, tema, asunto, assunto, resum, titolo, "
    "argomento, riassum, заголов, назван, тем, итог, кратк, başlı, özet, téma, titul, název, shr, zhr, "
    "overskrift, emne, tittel, rubrik, ämne, sammanfatt, tytuł, streś, podsum, oppsum, onderwerp, samen, "
    "tiêu đề, chủ đề, tóm tắt, judul, topik, ringkas, عنوان, موضوع, ملخص, تلخيص, থিম, শিরোনাম, সারাংশ, शीर्षक, "
    "כותרת, 标题, 標題, 主题, 主題, 题目, 題目, 起名, 命名, 取名, 名称, 名稱, 总结, 總結, 概括, 摘要, 标签, "
    "標籤, タイトル, テーマ, 題名, 件名, 要約, タグ, 제목, 주제, 요약, 태그"
)
"""Parts of the words of what is asked for, in lower case: a text without any is none of these instructions."""

ABOUT: Final = _parts(
    "conversation, chat, thread, session, dialog, discuss, exchange, interaction, message, quer, request, "
    "question, prompt, input, gespräch, unterhaltung, konversation, nachricht, échange, phrase, conversa, "
    "charla, frase, бесед, диалог, разговор, чат, сообщен, переписк, sohbet, konuşma, cümle, konverz, diskusi, "
    "rozhovor, věty, samtal, om emnet, av temaet, rozmow, gesprek, percakapan, obrolan, kalimat, trò chuyện, "
    "câu này, محادثة, دردشة, الجملة, কথোপকথন, আলোচনা, বাক্য, वार्तालाप, बातचीत, שיחה, 对话, 對話, 会话, 會話, "
    "聊天, 这句, 這句, 用户, 会話, 対話, チャット, この文, 대화, 채팅, 문장, title only, cut-off"
)
"""Parts of the words for a conversation, or for a message of it."""

ASCII_ASKED: Final = tuple(filter(str.isascii, ASKED))
ASCII_ABOUT: Final = tuple(filter(str.isascii, ABOUT))
"""All that a text of ASCII alone can hold."""
