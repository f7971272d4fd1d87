"""A study's world of noise, at a size that takes seconds."""

from dataclasses import replace

import pytest

from racm3.document import Document
from racm3.recipes.lessons import Lessons
from racm3.recipes.study.budgets import BUDGETS
from racm3.recipes.study.worlds import World
from racm3.retrieval.config import RetrieverConfig
from tests.conftest import picture

TOY = replace(BUDGETS["toy"], side=16, documents=8, unseen=4)


@pytest.fixture(scope="module")
def world(codec, encoder, documents, shelf) -> World:
    unseen = [Document.of(f"one {word}", picture(40 + i)) for i, word in enumerate("abcd")]
    return World(
        name="tiny",
        codec=codec,
        encoder=encoder,
        retriever=RetrieverConfig(too_similar=None),
        lessons=lambda: [Lessons(documents, shelf)],
        open_memory=shelf,
        unseen=unseen,
        references=[[document.text] for document in unseen],
        align=32,
        stand_ins="Noise.",
        classes=[[picture(100 * c + i) for i in range(9)] for c in range(2)],
    )
