"""The recipes of sample systems, by name."""

from collections.abc import Callable

from racm3.recipes.courses import (
    answering_cpu,
    asking_cpu,
    captioning_cpu,
    comparing_gpu,
    course_cpu,
    dyed_cpu,
    further_cpu,
    labelled_cpu,
    matching_gpu,
    ordered_cpu,
    recalling_cpu,
    settled_cpu,
)
from racm3.recipes.parts import contrast_cpu, decoder_cpu, seeing_cpu, words_cpu
from racm3.recipes.phrasing import (
    coloured_cpu,
    gathering_cpu,
    lettered_cpu,
    listing_cpu,
    phrasing_cpu,
    spaced_cpu,
    spelt_cpu,
    spoken_cpu,
)
from racm3.recipes.recipe import SampleRecipe
from racm3.recipes.sample import sample_cpu, sample_gpu
from racm3.recipes.tiny import (
    tiny,
    tiny_course,
    tiny_decoder,
    tiny_further,
    tiny_seeing,
    tiny_words,
)

SAMPLES: dict[str, Callable[[], SampleRecipe]] = {
    "sample_cpu": sample_cpu,
    "further_cpu": further_cpu,
    "course_cpu": course_cpu,
    "dyed_cpu": dyed_cpu,
    "matching_gpu": matching_gpu,
    "ordered_cpu": ordered_cpu,
    "labelled_cpu": labelled_cpu,
    "answering_cpu": answering_cpu,
    "settled_cpu": settled_cpu,
    "captioning_cpu": captioning_cpu,
    "recalling_cpu": recalling_cpu,
    "asking_cpu": asking_cpu,
    "phrasing_cpu": phrasing_cpu,
    "spaced_cpu": spaced_cpu,
    "spoken_cpu": spoken_cpu,
    "spelt_cpu": spelt_cpu,
    "lettered_cpu": lettered_cpu,
    "coloured_cpu": coloured_cpu,
    "gathering_cpu": gathering_cpu,
    "listing_cpu": listing_cpu,
    "comparing_gpu": comparing_gpu,
    "decoder_cpu": decoder_cpu,
    "contrast_cpu": contrast_cpu,
    "words_cpu": words_cpu,
    "seeing_cpu": seeing_cpu,
    "sample_gpu": sample_gpu,
    "tiny": tiny,
    "tiny_further": tiny_further,
    "tiny_course": tiny_course,
    "tiny_decoder": tiny_decoder,
    "tiny_words": tiny_words,
    "tiny_seeing": tiny_seeing,
}
