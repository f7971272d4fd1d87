"""Courses in the words that people use, over what the courses before them taught."""

from dataclasses import replace

from racm3.recipes.courses import asking_cpu
from racm3.recipes.recipe import SampleRecipe
from racm3.recipes.sample import schedule


def phrasing_cpu() -> SampleRecipe:
    """A slow course for what `asking_cpu` made and the average: two things and their sizes in the
    words that people have for them, who say neither `left of` nor `two of`.

    It was taken three times, and what the third made went on as it is (docs/log.md).
    """
    base = asking_cpu()
    course = replace(
        base.courses[0], fictional=1_700, pictured=1_300, labelled=2_400, hinted=1_600, empty=300,
        paired=1_300, likened=700, phrased=3_400,
    )  # fmt: skip
    return replace(base, courses=(course,))


def spaced_cpu() -> SampleRecipe:
    """A slow course for what `phrasing_cpu` made a third time, whose texts begin with a space: a
    name is said after `a` with the ids that it has where it begins a document, since names were
    misspelt where they had other ones.

    It was taken twice, and what the second made went on as it is (docs/log.md).
    """
    base = phrasing_cpu()
    course = replace(
        base.courses[0], fictional=1_500, labelled=2_200, paired=2_400, phrased=2_700,
    )  # fmt: skip
    return replace(base, spaced=True, courses=(course,))


def spoken_cpu() -> SampleRecipe:
    """A slow course for what `spaced_cpu` made a second time, which drew the first of two things
    alone where people say *with*, *in* or *on a*: two fifths of it are scenes in people's words,
    some of seen things."""
    base = spaced_cpu()
    course = replace(
        base.courses[0], seen=1_000, fictional=1_300, pictured=1_100, captioned=1_100,
        labelled=1_400, dyed=1_300, hinted=1_900, empty=150, paired=1_900, likened=550,
        phrased=7_500,
    )  # fmt: skip
    return replace(base, spaced=False, courses=(course,))


def spelt_cpu() -> SampleRecipe:
    """A slow course for what `spoken_cpu` made, over everything, since the other scenes had become
    a little worse; some of people's own names are in capitals."""
    base = spoken_cpu()
    course = replace(
        base.courses[0], seen=1_300, fictional=2_700, pictured=1_300, captioned=1_200,
        labelled=1_800, dyed=2_000, hinted=1_700, empty=250, paired=1_600, likened=800,
        phrased=4_300,
    )  # fmt: skip
    return replace(base, courses=(course,))


def lettered_cpu() -> SampleRecipe:
    """A slow course for what `spelt_cpu` made, whose fictional names are spelt of all ids of the
    text tokenizer, most of which no lesson had copied; captions of two things learn more of it.

    What it made ships as it is (docs/log.md).
    """
    base = spelt_cpu()
    course = replace(
        base.courses[0], captioned=2_000, paired=2_800, phrased=3_600, spelt=0.7,
        training=replace(schedule(600, lr=6e-4), warmup=30),
    )  # fmt: skip
    return replace(base, courses=(course,))


def coloured_cpu() -> SampleRecipe:
    """A longer course for what `lettered_cpu` made: things in all basic colours, of which it knew
    four, and two things in a colour each, which it drew as they are."""
    base = lettered_cpu()
    course = replace(
        base.courses[0], dyed=24_000, coloured=0.5, training=schedule(1450, lr=1e-3),
    )  # fmt: skip
    return replace(base, courses=(course,))


def gathering_cpu() -> SampleRecipe:
    """A course for what `coloured_cpu` made: three things and four, read at once."""
    base = coloured_cpu()
    course = replace(
        base.courses[0], dyed=7_000, gathered=10_000, phrased=4_300,
    )  # fmt: skip
    stream = replace(base.stream, counts=(0, 1, 4, 4))
    return replace(base, stream=stream, courses=(course,))


def listing_cpu() -> SampleRecipe:
    """A slower course for what `gathering_cpu` made, over everything: what stands in a picture of
    three things or four is asked for, some of them stand there more than once, and pictures without
    words are filled in."""
    base = gathering_cpu()
    course = replace(
        base.courses[0], seen=1_800, fictional=3_500, pictured=2_000, captioned=2_500,
        labelled=2_000, dyed=5_000, hinted=1_400, paired=2_500, likened=500, phrased=3_000,
        gathered=4_500, listed=3_000, repeated=0.25, silent=1_800, training=schedule(1300, lr=7e-4),
    )  # fmt: skip
    return replace(base, stream=replace(base.stream, counts=(0, 1, 4)), courses=(course,))
