"""Further courses for a sample system that is finished: what each changes, and why."""

from dataclasses import replace

from racm3.data.sample_world.scenes import Chances
from racm3.recipes.recipe import Course, SampleRecipe
from racm3.recipes.sample import sample_cpu, schedule, sharpened
from racm3.tokens.masking import Masking
from racm3.tokens.vqgan.config import VQGANConfig


def further_cpu() -> SampleRecipe:
    """A finer codebook and one more course for what `sample_cpu` made."""
    return replace(
        sample_cpu(),
        vqgan=VQGANConfig(codes=4096, local=True),
        tokenizer=sharpened(1300),
        decoder=replace(sharpened(1500), decoder_only=True),
        further=True,
        # Tilted, striped and checked scenes failed most.
        courses=(
            Course(
                seen=6_000,
                fictional=20_000,
                pictured=14_000,
                things=(12_000, 4_000),
                chances=Chances(rare=0.12),
                training=schedule(1500, lr=1.5e-3),
            ),
        ),
    )


def course_cpu() -> SampleRecipe:
    """One more course for what `further_cpu` made, or this; its codes stay."""
    return replace(further_cpu(), decoder=None, keep_codes=True)


def dyed_cpu() -> SampleRecipe:
    """Three more courses with things that have another colour than what was consulted."""
    base = course_cpu()
    first = replace(
        base.courses[0],
        seen=3_500,
        fictional=10_500,
        pictured=8_000,
        dyed=8_000,
        training=schedule(1400, lr=1.5e-3),
    )
    # After it one thing as it is was less exact, and names of one's own most of all (docs/log.md).
    second = replace(
        first,
        seen=4_000,
        fictional=14_000,
        pictured=13_000,
        dyed=9_000,
        training=schedule(1800, lr=1.5e-3),
    )
    # Of four dyed things one was still wrong, and nearly every code has another one for every dye.
    third = replace(
        first,
        seen=2_500,
        fictional=10_500,
        pictured=10_500,
        dyed=16_500,
        training=schedule(1650, lr=1.5e-3),
    )
    return replace(base, courses=(first, second, third))


def matching_gpu() -> SampleRecipe:
    """A course for any of these in which the right document is often the second of two, ten times
    as long as theirs: what is to be read is told by what the picture shows.

    Ten minutes of a card for both generators beside other work (`--stage pack`). It ran in two legs
    of 900 and 1,050 updates over the same material, the rate rising again for the second. A wrong
    document misleads far less after it; flags are infilled less well (docs/log.md).
    """
    course = Course(
        seen=10_000,
        fictional=30_000,
        pictured=25_000,
        demonstrated=20_000,
        dyed=30_000,
        things=(30_000, 12_000),
        chances=Chances(rare=0.12),
        own=0.25,
        training=replace(schedule(1950, lr=1.5e-3), warmup=100, compile=False),
    )
    base = course_cpu()
    stream = replace(
        base.stream,
        rows=64,
        length=512,
        counts=(0, 1, 2, 2),
        shuffled=0.5,
        masking=Masking(described=0.35),
    )
    return replace(base, stream=stream, courses=(course,))


def ordered_cpu() -> SampleRecipe:
    """A short course for what `matching_gpu` made, which has forgotten that the first document is
    the likelier one. It ran over that course's material.

    What goes on is the average of its generators and those that `dyed_cpu` made (`racm3 average`),
    which keeps what is good in both (docs/log.md).
    """
    made = matching_gpu()
    course = replace(made.courses[0], training=replace(schedule(400, lr=1e-3), warmup=40))
    stream = replace(course_cpu().stream, shuffled=0.1)
    return replace(made, stream=stream, courses=(course,))


def labelled_cpu() -> SampleRecipe:
    """A course for what `ordered_cpu` and the average made, in which half of what is read
    is a picture to be given one of two labels that its examples have just been given.

    Whoever met labels only as names of their own things is at chance where they mean nothing; after
    this examples are compared (docs/log.md).
    """
    base = ordered_cpu()
    course = replace(
        base.courses[0],
        seen=2_000,
        fictional=4_500,
        pictured=3_500,
        demonstrated=0,
        labelled=10_000,
        dyed=3_500,
        things=(8_000, 3_000),
        training=schedule(700, lr=1e-3),
    )
    return replace(base, stream=replace(base.stream, rows=8), courses=(course,))


def answering_cpu() -> SampleRecipe:
    """Two more for what `labelled_cpu` made, which compared what stands in the same place and
    nothing else: answers count twelve times as much, then the rest is learnt again. The second ran
    over the first one's material."""
    base = labelled_cpu()
    first = replace(
        base.courses[0],
        labelled=18_000,
        same=0.15,
        entries=0.25,
        asked=12.0,
        training=schedule(400, lr=1e-3),
    )
    second = replace(first, asked=1.5, training=schedule(300, lr=1e-3))
    return replace(base, courses=(first, second))


def settled_cpu() -> SampleRecipe:
    """A slow course for the average of what `labelled_cpu` started from (three parts in ten) and
    what `answering_cpu` made, over the latter's material in another order."""
    base = answering_cpu()
    slow = replace(schedule(330, lr=5e-4), warmup=20)
    course = replace(base.courses[0], asked=3.0, training=slow)
    return replace(base, stream=replace(base.stream, seed=1), courses=(course,))


def captioning_cpu() -> SampleRecipe:
    """A slow course for what `settled_cpu` made, which no longer believes that the first document
    is the likelier one: captions are asked for beside what whoever captions would find."""
    base = settled_cpu()
    course = replace(
        base.courses[0],
        fictional=7_000,
        captioned=5_000,
        labelled=7_000,
        dyed=4_500,
        asked=1.5,
        training=replace(schedule(400, lr=5e-4), warmup=20),
    )
    return replace(base, courses=(course,))


def comparing_gpu() -> SampleRecipe:
    """Two courses on a card (`--stage pack`) for what `labelled_cpu` started from: examples and
    captions are asked for beside drawing. Untried: no card was lent; `recalling_cpu` learnt from
    the material of the first.

    What is asked for counts six times at first, or examples are compared by what stands in the same
    place alone (docs/log.md); then the rest is learnt again, of things of its own.
    """
    first = Course(
        seen=7_000,
        fictional=20_000,
        pictured=14_000,
        captioned=14_000,
        labelled=24_000,
        same=0.25,
        entries=0.25,
        dyed=16_000,
        things=(20_000, 9_000),
        chances=Chances(rare=0.12),
        own=0.25,
        asked=6.0,
        training=replace(schedule(2500, lr=1.5e-3), warmup=100, compile=False),
    )
    second = replace(first, asked=1.5, training=replace(first.training, lr=1e-3))
    base = course_cpu()
    stream = replace(
        base.stream,
        rows=40,
        length=832,
        counts=(0, 1, 2, 2),
        shuffled=0.1,
        hidden=0.15,
        masking=Masking(described=0.15),
    )
    return replace(base, stream=stream, courses=(first, second))


def recalling_cpu() -> SampleRecipe:
    """A longer slow course for the average of what `labelled_cpu` started from (three parts in ten)
    and what `captioning_cpu` made: what labels cost the rest is learnt again.

    It ran over the material of `comparing_gpu`'s first course. What goes on is the average of what
    `labelled_cpu` started from (three parts in ten) and what this made (docs/log.md).
    """
    made = comparing_gpu()
    slow = replace(schedule(1000, lr=6e-4), warmup=30)
    course = replace(made.courses[0], asked=1.0, training=slow)
    stream = replace(made.stream, rows=8, counts=(0, 1, 2), hidden=0.0)
    return replace(made, stream=stream, courses=(course,))


def asking_cpu() -> SampleRecipe:
    """A slow course for what `words_cpu` made, with what people ask and no lesson showed: names
    without a background, pictures with nothing in them, pictures of two things described beside
    both, and scenes as examples.

    The average of what this starts from (three parts in ten) and what it made went on.
    """
    base = recalling_cpu()
    course = replace(
        base.courses[0],
        seen=1_300,
        fictional=2_200,
        pictured=1_500,
        captioned=1_200,
        labelled=2_600,
        dyed=1_500,
        hinted=2_400,
        empty=400,
        paired=1_600,
        likened=1_000,
        things=(8_000, 2_500),
        training=replace(schedule(700, lr=6e-4), warmup=30),
    )
    return replace(base, courses=(course,))
