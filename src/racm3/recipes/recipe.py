"""What a recipe of the sample system says: parts, schedules, courses."""

from dataclasses import dataclass, field

from racm3.data.sample_world.scenes import USUAL, Chances
from racm3.data.stream import StreamConfig
from racm3.model.config import GeneratorConfig
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import AVERAGE, Sides
from racm3.system.rephrasing import Rephrasing
from racm3.system.results import Settings
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.training.clip import ClipTraining
from racm3.training.clip_decoded import DecodedTraining
from racm3.training.clip_words import WordTraining
from racm3.training.generator import GeneratorTraining
from racm3.training.loop import LoopConfig
from racm3.training.vqgan import TokenizerTraining


@dataclass(frozen=True, kw_only=True)
class Course:
    """What the generators learn from, and one schedule to learn it in.

    Args:
        seen: Scenes of seen things.
        fictional: Scenes of fictional things, looked up by words.
        pictured: Scenes of one fictional thing each, beside it and what looks like the scene.
        captioned: The same, whose captions alone are asked for.
        demonstrated: Scenes of one fictional thing each, beside labelled examples.
        labelled: Scenes of one fictional thing each whose words are asked for, after two documents
            under names that are dealt anew.
        same: The share of these that show an example itself.
        entries: The share of these whose documents are as a memory holds them.
        asked: How much a scene counts whose words are asked for, beside another one.
        dyed: Scenes of fictional things in other colours than their own, to be drawn.
        coloured: The share of these that show two, or, now and then, one twice and as it is.
        hinted: Scenes of one fictional thing each of which little but the name is said.
        empty: Backgrounds with nothing on them.
        paired: Scenes of two fictional things each whose words are asked for, beside both.
        likened: Scenes of one fictional thing each, to be drawn after another scene of it.
        phrased: Scenes of fictional things, two in most, to be drawn, in words that people use.
        gathered: Scenes of three or four things each, to be drawn, after a document of each.
        listed: The same, whose words are asked for.
        repeated: The share of both that show some of fewer things more than once.
        silent: Scenes of one fictional thing each without any words, beside it and what looks like
            the scene.
        things: How many fictional things there are to look up by words, and by the picture.
        chances: How often a scene is striped, checked or tilted.
        own: The share of fictional things that people have made their own: worded, one picture.
        spelt: The share whose names are spelt of all ids of the text tokenizer.
        fiction: Which fictional things: their seed. A further course's is its number.
        training: The schedule.
    """

    seen: int
    fictional: int
    pictured: int = 0
    captioned: int = 0
    demonstrated: int = 0
    labelled: int = 0
    same: float = 0.5
    entries: float = 0.0
    asked: float = 1.0
    dyed: int = 0
    coloured: float = 0.0
    hinted: int = 0
    empty: int = 0
    paired: int = 0
    likened: int = 0
    phrased: int = 0
    gathered: int = 0
    listed: int = 0
    repeated: float = 0.0
    silent: int = 0
    things: tuple[int, int]
    chances: Chances = USUAL
    own: float = 0.0
    spelt: float = 0.0
    fiction: int = 0
    training: GeneratorTraining


@dataclass(frozen=True, kw_only=True)
class SampleRecipe:
    """Everything that makes the sample system; the stages run in the order of the fields.

    Args:
        decoder: A second schedule, for the decoder alone: codes stay as they are.
        words: A second schedule, for a new text tower of the CLIP and longer vectors, which tell
            what words a text has.
        seeing: A schedule for the picture tower of a finished system's CLIP, which learns what its
            tokenizer makes of pictures.
        courses: What the generators learn from, one after the other.
        further: It goes on from a finished system (`recipes/further.py`).
        sides: What a document of the memory is to the CLIP.
        begun: How many courses they have behind them, which the system to go on from says.
        keep_codes: The image tokenizer of the system to go on from stays as it is.
        spaced: Its text tokenizer is given a space before every text, as new ones have it.
        rephrasing: What generators read instead of words that people type.
    """

    vqgan: VQGANConfig
    tokenizer: TokenizerTraining
    tokenizer_batch: int
    decoder: TokenizerTraining | None = None
    clip: ClipTraining
    clip_batch: int
    words: WordTraining | None = None
    seeing: DecodedTraining | None = None
    sides: Sides = AVERAGE
    text_vocabulary: int
    courses: tuple[Course, ...]
    further: bool = False
    begun: int = 0
    keep_codes: bool = False
    spaced: bool = False
    generator: GeneratorConfig
    stream: StreamConfig
    save_every: int = 200
    settings: Settings = field(default_factory=Settings)
    retriever: RetrieverConfig = field(default_factory=RetrieverConfig)
    rephrasing: Rephrasing = field(default_factory=Rephrasing)

    @property
    def numbers(self) -> range:
        """What the courses are numbered."""
        return range(self.begun, self.begun + len(self.courses))


def loop(steps: int, save_every: int) -> LoopConfig:
    """Judged some eight times, and never more often than saved."""
    every = max(save_every, steps // 8)
    return LoopConfig(steps=steps, save_every=save_every, validate_every=every)
