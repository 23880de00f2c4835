"""Cues for questions to a general assistant: tasks with text, knowledge, advice, arithmetic, small talk.

Each cue speaks against the company's data. The heaviest cue that was found gives the reason.
"""

from typing import Final

from aiostream_server.routing.cues import cue

_POLITELY: Final = (
    r"^(?:(?:please|pls|(?:can|could|would|will) you|help me(?: to)?|i (?:need|want) you to|hey|hi|ok|bitte|kannst du"
    r"|peux-tu|puedes|prosze)\W+)*"
)
_REPORT: Final = (
    r"(?!write (?:me )?(?:up )?(?:an? |the )?(?:\w+ )?(?:report|query) (?:of|on|for|with|about) (?:our|all|the)\b)"
)

WRITING: Final = cue(
    5.0,
    "is a writing task",
    after=_POLITELY + _REPORT,
    phrases="""
    write|draft|compose|translate|rewrite|rephrase|reword|paraphrase|proofread|shorten|correct|edit|polish
    turn (?:this|that|it|the following)
    (?:improve|fix) (?:this|my)
    check my
    brainstorm|invent|imagine|pretend|act as|role-?play|make up|spell|pronounce
    schreibe?|verfasse|ubersetze?
    traduis|traduisez|ecris|ecrivez|redige
    traduce|escribe|redacta
    napisz|przetlumacz
    """,
)
MAKING: Final = cue(
    2.5,
    "asks for something to be made up",
    after=_POLITELY
    + r"(?:(?:create|generate|make|build|design|plan|prepare|develop|give me|name|suggest|list)\s(?:me\s)?"
    r"(?:an?|some|two|three|four|five|ten|\d+)\s(?:\w+\s){0,3}?|(?=come up with|think of))",
    phrases="""
    (?:plan|trip|list for|name|idea|slogan|tagline|example|exercise|question|synonym|reason|way|quiz|rule|joke)s?
    (?:schedule|agenda|template|presentation|strategy|icebreaker|line for)s?
    come up with
    think of
    """,
)
TEXT: Final = cue(
    2.5,
    "asks for a text",
    words="""
    poem story haiku joke essay song lyric recipe translate translation synonym grammar slogan tweet limerick riddle
    speech outline icebreaker blog proofread rhyme gedicht witz poeme blague poema chiste wiersz zart wierszyk
    """,
    phrases="""
    cover letter
    job ad
    (?:an|the|this|thank-you|short|polite) (?:e-?mail|letter) (?:to|for|about)
    summari[sz]e (?:this|the following)
    """,
)
EXPLANATION: Final = cue(
    3.0,
    "asks for an explanation",
    words="define definition explain meaning erklare expliquer explique explica explicar wyjasnij",
    phrases=r"""
    what (?:does|do|did)\b.{1,60}\b(?:mean|stand for)
    stands? for
    meaning of
    example of
    ^(?:so |and )?wh?at(?:'s|s| is| are) (?:an?|meant by)
    what happens (?:if|when)
    what do you know
    ^tell me (?:more )?about
    was (?:ist|sind|bedeutet|heisst)
    qu'est-ce qu\w*|c'est quoi
    que (?:es|son|significa)
    (?:co to|czym) (?:jest|znaczy|sa)|co oznacza
    """,
    # "What is gross margin?", but not "what is the gross margin of ..."
    pattern=r"^what(?:'s|s| is| are) (?!(?:our|the|my|total|average|this|that)\b)(?:[a-z-]+ ){0,2}[a-z-]+\W*$",
)
DIFFERENCE: Final = cue(
    1.8,
    "asks for the difference of two notions",
    phrases="""
    differences? between
    unterschied zwischen
    difference entre
    diferencia entre
    roznica miedzy
    """,
    pattern=r"\bthe same thing\W*$",
)
HOW_TO: Final = cue(
    2.5,
    "asks how something is done",
    phrases=r"""
    how (?:do|can|could|should|would|might|to) (?:i|you|we|one|someone|people|they|an?|it)
    how to
    how (?:do|does)\b.{1,60}\bwork
    how (?:is|are)\b.{1,40}\b(?:made|calculated|computed|defined)
    steps to
    wie (?:kann|mache?|schreibe?|berechne|geht|funktioniert|koche?)
    """,
    # In these languages "how" asks for instructions, unless it asks how something developed.
    pattern=r"^comment (?!(?:se )?(?:evolue|ont|a\b|vont|va\b))|^como (?!(?:van|va|han|fue|fueron)\b)"
    r"|^jak (?!(?:sie )?(?:zmieni|wygla|rozwi))",
)
IN_GENERAL: Final = cue(
    2.4,
    "asks how the world works",
    phrases=r"""
    ^(?:how|why|hw) (?:do|does|is|are) (?!(?:the|sales|revenue|it)\b|.*\b(?:our|we|us|q[1-4]|last|this|these|year)\b)\w+
    (?:in|of|around) the (?:world|universe|solar system)
    on (?:earth|mars)
    all time
    in europe
    in (?:law|physics|marketing|biology|chemistry|economics|math\w*|the bible|general|theory)
    ever (?:built|made|written|recorded|lived)
    companies|businesses|firms|corporations|retailers|start-?ups
    (?:advantage|benefit|disadvantage|drawback|type|kind|example)s? of
    typical(?:ly)?
    """,
)
ADVICE: Final = cue(
    2.6,
    "asks for advice",
    words="tip advice feedback idea recommend suggest suggestion learn study hint",
    phrases=r"""
    ^what should
    (?:should|shall|can|may|must|(?<!how )do) i(?! (?:see|get)\b)
    how (?:can|could|should|might) we
    best (?:way|practice)s?
    (?:good|best) \w+ (?:for an?|to)
    pros and cons
    (?:is|are) (?:it|there) (?:ok|okay|safe|legal|life|a good|a way)
    ^i(?: am|'m) (?:nervous|bored|sad|tired|looking for)
    my (?:job|interview|homework|pitch|car|house|essay|text|cv|resume|cat|dog)
    my (?:wife|husband|son|daughter|kids?|mother|father|friend|girlfriend|boyfriend)
    """,
)
CODE: Final = cue(
    2.5,
    "is about programming",
    words="""
    python javascript typescript java rust golang regex regexp algorithm docker kubernetes git css html json yaml bash
    linux compile compiler bug unittest recursion async pandas numpy react django flask keyerror typeerror exception
    mysql postgres postgresql mongodb sqlite vba traceback syntax div github programming haskell php kotlin swift
    """,
    phrases="""
    (?:left|right|inner|outer|cross) join
    (?:function|script|class|program|macro|formula) (?:that|to|which|for|in)
    this (?:code|error|query|function)
    in (?:sql|excel)
    sql (?:tutorial|course|injection|exercise|syntax)s?
    (?:primary|foreign) keys?
    source code
    code (?:for|in|that|review|snippet)
    """,
    pattern=r"\bc\+\+",
)
ARITHMETIC: Final = cue(
    3.0,
    "is arithmetic",
    words="sqrt factorial logarithm cosine sine integral derivative equation fahrenheit celsius pythagoras hypotenuse",
    phrases=r"""
    \d+ ?(?:plus|minus|times|divided by|multiplied by|mal|fois|por|razy|durch) ?\d+
    (?:square|cube) root
    (?:sum|average|mean|median|product|total) (?:of )?\d[\d.]* ?(?:,|and) ?\d+
    (?:add|subtract|divide|multiply) (?:up )?\d[\d.]* ?(?:,|and|to|from|by) ?\d+
    to the power
    percent(?:age)? is \d+
    \d+ out of \d+
    ^convert \d+
    compound interest
    interest on \d+
    """,
    pattern=r"\d\s*%?\s*(?:[+*×÷^]|\s-\s|\s/\s|\bx\b)\s*\(?\d|^[\d\s+*/^%().,=?-]+$"
    r"|\blog\d*\s?(?:of\b|\()|\bhow much is [$€£]?\d"
    r"|\d\s*(?:%|percent|prozent|por ciento|pour cent|procent) (?:of|von|z|de|off) [$€£]?\d",
)
_NUMBER: Final = r"(?<![\w.,-])(?!(?:19|20)\d\d\b)\d"
# "I buy 3 boxes at 4.99", "if a shirt costs 40 and ...": the question holds all numbers it needs.
WORD_PROBLEM: Final = cue(
    3.0,
    "is a sum with its numbers given",
    pattern=r"^(?!.*\b(?:we|our|us|between)\b)(?=.*\b(?:if|i|i've|i'm|my|each|costs)\b)(?=.*(?:\?|\bhow\b|\bwhats?\b|%))"
    rf".*{_NUMBER}.*{_NUMBER}",
)
SMALL_TALK: Final = cue(
    3.0,
    "is small talk",
    phrases="""
    who are you|how are you|what can you do
    are you (?:an?|real|human|sure|ok)
    do you (?:know|like|think|speak|store|remember|believe|want)
    can you speak
    (?:your|you) (?:name|favou?rite|think|feel|like)
    who (?:made|built|created|trained) you
    """,
    pattern=r"^(?:hi|hello|hey|thanks?|thank you|good (?:morning|evening|afternoon|night)|bye|yo|sup|cool|ok|okay"
    r"|hallo|guten (?:tag|morgen|abend)|danke|bonjour|salut|merci|hola|buenos dias|gracias|czesc|dzien dobry|dziekuje)"
    r"(?:\W+\w+){0,3}\W*$",
)
KNOWLEDGE: Final = cue(
    1.8,
    "is general knowledge",
    words="""
    population capital president planet ocean river mountain animal century emperor king queen philosophy weather
    movie novel football olympic recipe cook bake chemical atom physic history inventor invented discovered moon sun
    earth sky body brain disease universe galaxy dinosaur bird cat dog continent bone heart religion currency vitamin
    gravity scientist species lake island temperature shakespeare einstein wikipedia bitcoin symptom
    inflation gdp economy unemployment gdpr founder founded
    google amazon apple microsoft facebook tesla netflix nvidia walmart ikea spotify uber openai salesforce hubspot
    hauptstadt einwohner wetter rezept capitale habitant meteo recette habitante receta stolica pogoda przepis
    """,
    phrases="""
    people live
    world (?:cup|war|record)
    (?:world|civil|the|cold) wars?
    speed of
    (?:stock|share) (?:price|market)s?
    main exports
    """,
)
NOTION: Final = cue(
    1.8,
    "is about a notion, not about records",
    phrases=r"""
    sales (?:call|pitch|manager|kick-?off|job|skill|technique|strategy|funnel|letter|e-?mail|career|training|tax)s?
    customer (?:service|journey|support|experience|relationship)
    product (?:description|manager|owner|management|design|photo|name)s?
    data (?:warehouse|scien\w+|protection|privacy|analyst|engineer\w*|lake|type|structure)s?
    business (?:plan|idea|model|card|english|school|trip|name)s?
    (?:invoice|contract|order) templates?
    (?:interest|exchange) rates?
    (?:credit|gift) cards?
    (?:job|sales) interviews?
    (?:supply|value) chains?
    employee (?:motivation|handbook|engagement)
    user (?:story|stories|interface)
    price of (?:bitcoin|gold|oil|gas)
    department stores?
    unit tests?
    costs? of living
    supply and demand
    income tax
    minimum wage
    return on investment
    """,
)
INDEFINITE: Final = cue(
    1.2,
    "asks about a thing in general",
    after=r"\ban? (?:\w+ ){0,2}?",
    phrases="""
    customer|client|order|invoice|product|store|shop|company|business|start-?up|database|payment|contract|supplier
    refund|purchase|employee|manager|person|man|woman
    """,
)
ASKING: Final = cue(
    0.2,
    "has no sign of company data",
    phrases="""
    ^(?:who|what|what's|whats|where|when|why|which|how|is|are|can|could|do|does|did|will|would|should)
    ^(?:tell|give|please|i|i'm|my)
    ^(?:wer|was|wo|wann|warum|wie)
    ^(?:qui|que|quoi|quel|quelle|ou|quand|pourquoi|comment)
    ^(?:quien|donde|cuando|como)
    ^(?:kto|co|gdzie|kiedy|dlaczego|jak|jaka|jaki|jakie)
    """,
)
CUES: Final = (
    *(WRITING, MAKING, TEXT, EXPLANATION, DIFFERENCE, HOW_TO, IN_GENERAL, ADVICE, CODE, ARITHMETIC, WORD_PROBLEM),
    *(SMALL_TALK, KNOWLEDGE, NOTION, INDEFINITE, ASKING),
)
