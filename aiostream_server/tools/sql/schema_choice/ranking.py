"""Orders the tables of a schema by how likely a question needs them.

A table that several words of the question mean comes first. Then each word gets its own best tables, because a question
needs one for every thing that it names. Then follow the tables that these are joined by and refer to.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Final

from aiostream_server.tools.sql.schema import Schema, Table
from aiostream_server.tools.sql.schema_choice.index import Scores, TableIndex
from aiostream_server.tools.sql.schema_choice.joins import Joins
from aiostream_server.tools.sql.schema_choice.terms import Term
from aiostream_server.tools.sql.schema_choice.words import is_generic, question_words, root, split_name

_EARLIER: Final = 0.5  # the weight of the question before, and its square that of the one before that
_GENERIC: Final = 0.3
_MOST_WORDS: Final = 40
_MOST_QUESTIONS: Final = 4
_JOINED: Final = 12
_WITH_PARENTS: Final = 2
_WITH_FACTS: Final = 3
_MOST_FACTS: Final = 2
_LINKED: Final = 16
_BEFORE_KINDS: Final = 24
_HUB_SHARE: Final = 0.1
_FEWEST_OF_HUB: Final = 12
_FROM_NEIGHBOUR: Final = 0.2
_FOR_NAME: Final = 0.8
_OF_TERM: Final = 8
_SURE: Final = 0.5
_BESIDE: Final = 0.6
_MANY: Final = 8
_PARTS: Final = frozenset(map(root, ("line", "item", "detail", "position")))  # hold what is counted and summed


class TableRanking:
    """Tables are numbers, in their order."""

    def __init__(self, schema: Schema, tables: Sequence[Table]) -> None:
        self._index: Final = TableIndex(schema, tables)
        self._joins: Final = Joins(tables)
        named, described = _weighed(table.name for table in tables), _weighed(table.comment for table in tables)
        self._titles: Final = [*zip(named, described, strict=True)]
        beside = _beside([table.name for table in tables])
        self._parts: Final = {base: number for number, (base, suffix) in beside.items() if suffix in _PARTS}
        self._suffixes: Final = _common(beside)
        most = max(_FEWEST_OF_HUB, _HUB_SHARE * len(tables))
        self.hubs: Final = frozenset(n for n in range(len(tables)) if self._joins.degree(n) > most)
        """Users, companies: so many tables are joined with them that this tells nothing."""

    def terms(self, questions: Sequence[str]) -> list[Term]:
        """The words of the last questions, oldest first; a word of the latest one weighs most."""
        weights: dict[str, float] = {}
        for age, question in enumerate(reversed(questions[-_MOST_QUESTIONS:])):
            for word in question_words(question)[:_MOST_WORDS]:
                weights.setdefault(word, _EARLIER**age * (_GENERIC if is_generic(word) else 1.0))
        return [self._index.vocabulary.term(word, weight) for word, weight in weights.items()]

    def is_meant(self, term: Term) -> bool:
        """Whether the term means any table."""
        return bool(self._index.scores(term))

    def best(self, terms: Sequence[Term], known: Collection[int] = ()) -> list[int]:
        """All tables, those that the terms mean first, behind those that are `known`."""
        scores = [(term, self._index.scores(term)) for term in terms]
        totals = self._totals(terms, [each for _, each in scores])
        things = [each for term, each in scores if each and not is_generic(term.word)]
        seeds = [*dict.fromkeys(chain(known, _interleaved(totals, things)))]
        core = [*dict.fromkeys(self._joined(seeds, _sure_words(terms)))]
        parents = [*chain.from_iterable(map(self._parents, seeds[:_WITH_PARENTS]))]
        named = (name for number in (*core, *parents) for name in self._joins.named_by(number))
        links = self._joins.links(seeds[:_LINKED])
        facts = [fact for number in seeds[:_WITH_FACTS] for fact in self._facts(number)[:_MOST_FACTS]]
        kinds = chain.from_iterable(map(self._parents, facts))
        parts = (self._parts[number] for number in core if number in self._parts)
        return [
            *dict.fromkeys(
                chain(core, links, parts, facts, parents, named, seeds[:_BEFORE_KINDS], kinds, seeds, self._by_degree())
            )
        ]

    def _totals(self, terms: Sequence[Term], by_term: Sequence[Scores]) -> Scores:
        own: Scores = {}
        for number, score in chain.from_iterable(scores.items() for scores in by_term):
            own[number] = own.get(number, 0.0) + score
        sure = _surest(terms)
        for number in own:
            own[number] *= 1 + _FOR_NAME * max(_covered(title, sure) for title in self._titles[number])
            if (suffix := self._suffixes.get(number)) is not None and suffix not in sure:
                own[number] *= _BESIDE
        totals = dict(own)
        for number, score in own.items():
            for other in self._joins.neighbours(number):
                share = _FROM_NEIGHBOUR * score / (1 + self._joins.degree(number) / 8)
                totals[other] = max(totals.get(other, 0.0), own.get(other, 0.0) + share)
        return totals

    def _joined(self, seeds: Sequence[int], words: Collection[str]) -> Iterator[int]:
        """The first seeds, each followed by the tables on the ways to those before it and by those that it names."""
        for place, seed in enumerate(seeds[:_JOINED]):
            yield seed
            for way in self._joins.ways(seed, seeds[:place]).values():
                yield from way
            yield from self._joins.parents_by(seed, words)

    def _parents(self, number: int) -> Sequence[int]:
        """What it refers to; users and companies only where it has nothing else."""
        parents = self._joins.parents(number)
        return [each for each in parents if self._joins.is_link(number) or each not in self.hubs]

    def _facts(self, number: int) -> Sequence[int]:
        return [each for each in self._joins.facts(number) if each not in self.hubs]

    def _by_degree(self) -> Sequence[int]:
        return sorted(range(len(self._titles)), key=lambda number: -self._joins.degree(number))


def _weighed(texts: Iterable[str]) -> Sequence[Mapping[str, float]]:
    """For each text its words, and the share that each has in it; rare words have more."""
    words = [{*map(root, split_name(text))} for text in texts]
    count = Counter(chain.from_iterable(words))
    weights = [{word: math.log(1 + len(words) / count[word]) for word in each} for each in words]
    return [{word: weight / sum(each.values()) for word, weight in each.items()} for each in weights]


def _beside(names: Sequence[str]) -> Mapping[int, tuple[int, str]]:
    """For a table such as `orders_audit` beside `orders`: the number of `orders`, and the root of the last word."""
    known = {name: number for number, name in enumerate(names)}
    split = ((number, *name.rpartition("_")) for number, name in enumerate(names))
    return {number: (known[base], root(suffix.lower())) for number, base, _, suffix in split if base in known}


def _common(beside: Mapping[int, tuple[int, str]]) -> Mapping[int, str]:
    """The last words that many tables have beside another one, by table."""
    count = Counter(suffix for _, suffix in beside.values())
    return {n: suffix for n, (_, suffix) in beside.items() if count[suffix] >= _MANY and suffix not in _PARTS}


def _covered(title: Mapping[str, float], sure: Mapping[str, float]) -> float:
    """How much of the title the question means, up to 1."""
    return sum(share * sure.get(word, 0.0) for word, share in title.items())


def _surest(terms: Sequence[Term]) -> Mapping[str, float]:
    """How sure it is that a question means each word of the schema."""
    sure: dict[str, float] = {}
    for term in terms:
        for surety, words in term.meanings:
            for word in map(root, words):
                sure[word] = max(sure.get(word, 0.0), term.weight * surety)
    return sure


def _sure_words(terms: Sequence[Term]) -> Collection[str]:
    return {word for word, sure in _surest(terms).items() if sure >= _SURE}


def _interleaved(totals: Scores, by_term: Sequence[Scores]) -> Iterator[int]:
    """Takes several tables of the total order for each one of every term's own order."""
    overall = _ordered(totals)
    orders = sorted((_ordered(scores)[:_OF_TERM] for scores in by_term), key=lambda order: -totals[order[0]])
    yield from overall[:3]
    for rank, row in enumerate(zip_longest(*orders)):
        yield from (number for number in row if number is not None)
        yield from overall[3 + 4 * rank : 7 + 4 * rank]
    yield from overall


def _ordered(scores: Mapping[int, float]) -> list[int]:
    return sorted(scores, key=lambda number: (-scores[number], number))
