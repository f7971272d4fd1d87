"""Where the words of a question join several things, and where they name one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from racm3.document import Document
from racm3.retrieval.division import by_joins, divided, joints

JOINS = r" and (?!one )| (?P<named>with|on) |(?P<listed>,) "
DOCUMENTS = (
    "fork and knife",
    "flag of Chad",
    "flag of Mali",
    "cat with wry smile",
    "hand on mouth",
)
DOCUMENTS += ("wry smiles", "face with wry smile")
NAMES = ("cat", "hat", "knife", "box", "mouth", "smiles")


@given(
    st.lists(st.sampled_from(["a", "b ", " c", "d and one e"]), min_size=2, max_size=6), st.data()
)
def test_parts_and_what_joins_them_are_the_text(parts, data):
    text = " and ".join(parts)
    places = joints(text, JOINS)
    assert len(places) == len(parts) - 1
    assert divided(places, [True] * len(places)) == [text]
    assert divided(places, [False] * len(places)) == re.split(" and (?!one )", text)
    kept = data.draw(st.lists(st.booleans(), min_size=len(places), max_size=len(places)))
    assert " and ".join(divided(places, kept)) == text
    assert len(divided(places, kept)) == 1 + kept.count(False)


def nearest(queries: list[Document]) -> list[list[str]]:
    """The documents that share most words with a question first, those of no more before others."""

    def shared(text: str, document: str) -> tuple[int, int]:
        words = {*document.split()}
        return len({*text.split()} & words - {"and", "of", "with"}), -len(words)

    return [
        sorted(
            (one for one in DOCUMENTS if shared(query.text, one)[0]),
            key=lambda one, text=query.text: shared(text, one),
            reverse=True,
        )
        for query in queries
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a dog and a cat", ["a dog", "a cat"]),
        ("a fork and a knife", None),
        ("forks and knives", ["forks", "knives"]),
        ("a fork and knife and a cat", ["a fork and knife", "a cat"]),
        ("a cat and a fork and a knife", ["a cat", "a fork and a knife"]),
        ("a fork and a cat", ["a fork", "a cat"]),
        ("the flag of Chad and the flag of Mali", ["the flag of Chad", "the flag of Mali"]),
        # Before a name, and only there.
        ("a dog with hat", ["a dog", "hat"]),
        ("a dog with spots", None),
        # Between two names.
        ("hat, box and cat", ["hat", "box", "cat"]),
        ("a big, old box", None),
        ("box, red and cat", ["box, red", "cat"]),
        ("cat with box, knife", ["cat", "box", "knife"]),
        # Of what has no article one of the nearest few may say it.
        ("two faces with wry smiles", None),
        ("a dog with spots and a hat", ["a dog with spots", "a hat"]),
        # What a document says stays, by the whole text and by each two parts.
        ("a cat with a wry smile", None),
        ("a cat with smiles", ["a cat with smiles"]),
        ("a cat with a wry smile on box", ["a cat with a wry smile", "box"]),
        ("a box and a hand on mouth", ["a box", "a hand on mouth"]),
        # A word that was said before does not tell what follows.
        ("a fork and a knife and a fork on cat", ["a fork and a knife", "a fork", "cat"]),
        ("a dog", None),
        ("", None),
    ],
)
def test_what_no_document_says_joined_is_asked_for_apart(text, parts):
    query = Document.of(text)
    ((asked,),) = by_joins([[[query]]], JOINS, nearest, lambda part: part.split()[-1] in NAMES)
    assert [one.text for one in asked] == (parts or [text])
    assert parts or asked[0] is query


def test_every_question_is_asked_of_once():
    asked = list[str]()

    def known(queries: list[Document]) -> list[str]:
        asked.extend(query.text for query in queries)
        return nearest(queries)

    one, other = Document.of("a cat and a dog"), Document.of("a cat and a dog and a box")
    by_joins([[[one], [one, other]], [[one]]], JOINS, known, lambda _: True)
    assert asked == ["a cat and a dog", "a cat and a dog and a box", "a dog and a box"]
    by_joins([[[Document.of("a cat")]]], JOINS, known, lambda _: True)
    assert len(asked) == 3
