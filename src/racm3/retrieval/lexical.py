"""BM25 (Robertson & Zaragoza 2009, k1 = 1.2, b = 0.75): the strategy without a neural encoder."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from racm3.retrieval.index import Hits

WORD = re.compile(r"\w+")
# Lucene's English list. A document called "A button" would answer every query that has an article.
_ENGLISH = """a an and are as at be but by for if in into is it no not of on or such that the
their then there these they this to was will with"""
STOP = frozenset(_ENGLISH.split())
_PREPOSITION = re.compile(r"\b(?:with|without|in|on|at)\b", re.IGNORECASE)
# In words that tell documents apart; and in characters, so that no page is read for it.
LONGEST_NAME, FAR_TOO_LONG = 6, 200


def words(text: str) -> list[str]:
    """The words that tell documents apart; all of them where there are no others."""
    every = WORD.findall(text.lower())
    return [word for word in every if word not in STOP] or every


def phrases(text: str) -> list[str]:
    """Neighbouring words of which one tells documents apart: `not done`, `rainbow flag`."""
    every = WORD.findall(text.lower())
    return [f"{a} {b}" for a, b in pairwise(every) if not {a, b} <= STOP]


def whole(text: str) -> list[str]:
    """What a short text calls its document, up to a parenthesis, as one word: a house is `house
    (home)` rather than `houses`."""
    head = text.partition("(")[0]
    name = words(head) if len(head) < FAR_TOO_LONG else []
    return ["=" + " ".join(name)] if 0 < len(name) <= LONGEST_NAME else []


def heads(text: str) -> list[str]:
    """What a query may call its document, said last: `small house` a small house, else a house."""
    every = words(text)
    return ["=" + " ".join(every[-count:]) for count in range(min(len(every), LONGEST_NAME), 0, -1)]


def singulars(name: str) -> list[str]:
    """What one of a name may be called, as English spells most: a glass, a cherry."""
    ends = {"s": "", "es": "", "ies": "y"}
    return [name.removesuffix(end) + one for end, one in ends.items() if name.endswith(end)]


def listed(names: str, *, stems: bool = False) -> list[str]:
    """The terms of `sofa, fire truck`: a name of one word is that word, one of several is not found
    by any of them alone."""
    found = []
    for name in names.split(","):
        single = words(name)
        found += _stemmed(single, stems) if len(single) == 1 else phrases(name)
        found += whole(name)
    return found


def _stemmed(single: list[str], stems: bool) -> list[str]:
    return [stem(word) for word in single] if stems else single


@lru_cache(maxsize=2**16)
def stem(word: str) -> str:
    """What `dog` and `dogs` have in common: English Snowball (Porter2)."""
    import snowballstemmer

    # One of its own for every word: it keeps the word while it works, and threads ask at once.
    return snowballstemmer.stemmer("english").stemWord(word)


@runtime_checkable
class Words(Protocol):
    """What finds documents by words; -1 and -inf where there are fewer than asked."""

    def search(self, texts: Sequence[str], count: int) -> Hits: ...


class BM25:
    """All postings in RAM.

    Args:
        texts: What is searched.
        ids: What the texts are called; their numbers by default.
        beside: What is said of the same documents elsewhere: its words do not count again, and
            these texts name none.
        stems: Words are compared by their stems.
        paired: Phrases of two words count as words, too, and so does the name that a query ends
            with; these are compared as they are.
        names: The texts are lists of names, separated by commas; however many a document has, each
            is worth the same.
        k1: How soon a word that comes again stops to count.
        b: How much longer texts are held back.
    """

    def __init__(
        self,
        texts: Sequence[str],
        ids: Int64[np.ndarray, " docs"] | None = None,
        *,
        beside: Sequence[str] | None = None,
        stems: bool = False,
        paired: bool = False,
        names: bool = False,
        k1: float = 1.2,
        b: float = 0.75,
    ) -> None:
        self.ids = np.arange(len(texts)) if ids is None else ids
        self.stems, self.paired = stems, paired or names
        b = 0.0 if names else b
        terms = partial(listed, stems=stems) if names else partial(self.terms, named=not beside)
        counts = [Counter(terms(text)) for text in texts]
        for count, other in zip(counts, beside or [""] * len(texts), strict=True):
            for term in self.terms(other) if count else ():
                count.pop(term, None)
        lengths = np.array([sum(c.values()) for c in counts], dtype=np.float32)
        average = max(float(lengths.mean()), 1e-9) if len(lengths) else 1.0
        self.size = len(texts)
        postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for row, count in enumerate(counts):
            for word, seen in count.items():
                postings[word].append((row, seen))
        self.postings = {}
        for word, entries in postings.items():
            rows = np.array([row for row, _ in entries])
            times = np.array([n for _, n in entries], dtype=np.float32)
            rarity = np.log(1 + (self.size - len(rows) + 0.5) / (len(rows) + 0.5))
            norms = times + k1 * (1 - b + b * lengths[rows] / average)
            self.postings[word] = (rows, rarity * times * (k1 + 1) / norms)

    def terms(self, text: str, *, named: bool = True) -> list[str]:
        single = _stemmed(words(text), self.stems)
        return single + (phrases(text) + (whole(text) if named else []) if self.paired else [])

    def search(self, texts: Sequence[str], count: int) -> Hits:
        """The best of all, those without a shared word last."""
        return Fields([self]).search(texts, count)

    def scores(self, query: str, name: str = "") -> Float32[np.ndarray, " docs"]:
        """What the words of a query are worth in every document, and the `name` it calls one."""
        total = np.zeros(self.size, dtype=np.float32)
        for word in [*self.terms(query, named=False), name]:
            if word in self.postings:
                rows, weights = self.postings[word]
                total[rows] += weights
        return total


class Fields:
    """Several texts of the same documents: each is searched, and the scores are added."""

    def __init__(self, fields: Sequence[BM25]) -> None:
        self.fields = fields

    def search(self, texts: Sequence[str], count: int) -> Hits:
        totals = [self._scores(text) for text in texts]
        return _best(self.fields[0].ids, np.stack(totals), count)

    def named(self, query: str) -> str:
        """The longest name that a query ends with and any of them knows, or its plural; that what
        stands before a preposition ends with where there is none (a dog with spots); "" for none.
        """
        for one in (*heads(query), *heads(_PREPOSITION.split(query, maxsplit=1)[0])):
            if any(one in field.postings for field in self.fields):
                return one
            for single in singulars(one):
                if any(single in field.postings for field in self.fields if field.stems):
                    return single
        return ""

    def _scores(self, query: str) -> Float32[np.ndarray, " docs"]:
        name = self.named(query)
        return np.sum([field.scores(query, name) for field in self.fields], axis=0)


def _best(
    ids: Int64[np.ndarray, " docs"], scores: Float32[np.ndarray, "queries docs"], count: int
) -> Hits:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return Hits(ids[best], np.take_along_axis(scores, best, axis=1))
