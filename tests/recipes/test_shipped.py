"""What ships says what its recipes say."""

import pytest

from racm3.recipes.samples import SAMPLES
from racm3.system import RACM3

MADE_IT = (
    "sample_cpu",
    "further_cpu",
    "course_cpu",
    "decoder_cpu",
    "contrast_cpu",
    "dyed_cpu",
    "matching_gpu",
    "ordered_cpu",
    "labelled_cpu",
    "answering_cpu",
    "settled_cpu",
    "captioning_cpu",
    "recalling_cpu",
    "words_cpu",
)


@pytest.mark.parametrize("name", MADE_IT)
def test_the_shipped_system_looks_up_and_answers_as_its_recipes_say(name):
    recipe, parts = SAMPLES[name](), RACM3.open("sample", device="cpu").parts
    assert parts.retriever == recipe.retriever
    assert parts.settings == recipe.settings
    assert parts.align == recipe.stream.align
