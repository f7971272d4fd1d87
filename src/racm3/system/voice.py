"""From a task and what was consulted to what the generator says, and what it thinks of a saying."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from racm3.document import Document, Image, fit
from racm3.errors import GenerationError
from racm3.generation.batching import Speaker
from racm3.generation.ranking import text_score
from racm3.generation.talk import Request, Said, Watcher
from racm3.generation.tasks import AT_ONCE, Task, passes, streams
from racm3.system.results import Consulted, Settings
from racm3.system.surroundings import Part
from racm3.tokens.codec import Codec, Kind, Segment, Segments

LONGEST_PROMPT = 2000
UNFINISHED = 200
LONGEST_TEXT = 64
Watch = Watcher


@dataclass(frozen=True)
class Voice:
    """Codec and engine (or a batcher) together: documents and pictures in, ids said out.

    Args:
        codec: Text and image tokenizer.
        speaker: Continues prompts.
        sizes: The sizes, as shares of a picture, in which documents showed theirs in training: one
            with a single picture is read in all of them, as a catalogue would show it.
    """

    codec: Codec
    speaker: Speaker
    sizes: tuple[float, ...] = (1.0,)

    def request(self, task: Task, consulted: Sequence[Consulted], settings: Settings) -> Request:
        """Every stream's prompt, with a few documents in each pass (RA-CM3 §A)."""
        guidance, at_once = settings.guidance, settings.at_once
        if not consulted:  # nothing to weigh
            guidance = replace(guidance, context_weight=1.0)
        weights = guidance.documents
        if weights and (len(weights) != len(consulted) or len(weights) > at_once):
            raise GenerationError(
                f"{len(weights)} document weights were given for {len(consulted)} consulted "
                f"documents; give one for each, for at most {at_once} documents"
            )
        prompts = streams(
            task,
            passes(self.read([one.document for one in consulted]), at_once=at_once),
            self.codec.vocabulary,
            count=guidance.streams(settings.sampling),
            keep_documents=guidance.keep_documents,
            leave_out=bool(weights),
            leave_all=bool(guidance.left_out) and not weights,
        )
        return Request(
            streams=prompts,
            grammar=task.grammar,
            longest=task.longest,
            samples=settings.candidates,
            sampling=settings.sampling,
            guidance=guidance,
            seed=settings.seed,
            shares=guidance.shares(passes([one.score for one in consulted], at_once=at_once)),
        )

    def say(
        self,
        task: Task,
        consulted: Sequence[Consulted],
        settings: Settings,
        watch: Watch | None = None,
    ) -> list[Said]:
        return self.speaker.generate(self.request(task, consulted, settings), watch)

    def score(
        self,
        task: Task,
        consulted: Sequence[Consulted],
        ids: Sequence[int],
        *,
        at_once: int = AT_ONCE,
    ) -> Float[Tensor, " seq"]:
        """Log-probability of every id as the task's answer, after the first documents, as many as
        are read at once."""
        return next(self.scores(task, consulted, [ids], at_once=at_once))

    def scores(
        self,
        task: Task,
        consulted: Sequence[Consulted],
        answers: Sequence[Sequence[int]],
        watch: Watch | None = None,
        *,
        at_once: int = AT_ONCE,
    ) -> Iterator[Float[Tensor, " seq"]]:
        """The same of several answers, one after the other, before which everything is read once.

        A watcher is called before each of them and may raise to stop; nothing is said meanwhile, so
        it is told nothing.
        """
        shown, vocabulary = [one.document for one in consulted], self.codec.vocabulary
        group = passes(self.read(shown), at_once=at_once)[:1]
        (prompt,) = streams(task, group, vocabulary, count=1, keep_documents=True)
        found = self.speaker.scores(prompt, answers)
        for _ in answers:
            if watch:
                watch([])
            yield next(found)

    def means(
        self,
        task: Task,
        consulted: Sequence[Consulted],
        answers: Sequence[Sequence[int]],
        settings: Settings,
        watch: Watch | None = None,
    ) -> list[float]:
        """The mean log-probability of an id of each answer, by which answers are ordered."""
        known = self.scores(task, consulted, answers, watch, at_once=settings.at_once)
        return [text_score(one.tolist()) for one in known]

    def read(self, documents: Sequence[Document]) -> list[Segments]:
        """Documents as they stand before an answer, their pictures in the sizes that are known."""
        side = self.codec.image.side
        return self.codec.encode([one.in_sizes(self.sizes, side) for one in documents])

    def segment(self, picture: Image) -> Segment:
        return self.codec.encode([Document.of(picture)])[0][0]

    def ids(self, text: str, *, follows: bool = False) -> list[int]:
        """Of a text, or of what goes on after other ids."""
        return self.codec.text.encode(text, follows=follows)

    def text(self, caption: str) -> Segment:
        """A caption as a segment; an empty or endless one is refused."""
        if not caption.strip():
            raise GenerationError("the caption is empty; say what should be drawn")
        if len(caption) > LONGEST_PROMPT:
            raise GenerationError(
                f"the caption has {len(caption):,} characters; at most {LONGEST_PROMPT:,} are read"
            )
        return Segment(Kind.TEXT, tuple(self.ids(caption)))

    def unfinished(self, ids: Sequence[int]) -> Image:
        """A picture as far as it has been said; the rest is grey."""
        grid, first = self.codec.image.grid, self.codec.vocabulary.image.start
        whole = [*ids, *[first] * (len(grid) - len(ids))]
        patch = self.codec.image.config.downsampling
        known = (np.arange(len(grid)) < len(ids)).reshape(grid.rows, grid.columns)
        keep = np.kron(known, np.ones((patch, patch), dtype=bool))[..., None]
        return Image(np.where(keep, self.codec.picture(whole).pixels, np.uint8(UNFINISHED)))

    def cells(self, mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "rows columns"]:
        """Which cells of the code grid a pixel mask touches, after the picture is made square."""
        shades = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)
        square = fit(Image(shades), self.codec.image.side).pixels[..., 0] > 127
        rows, columns = self.codec.image.grid.rows, self.codec.image.grid.columns
        blocks = square.reshape(rows, square.shape[0] // rows, columns, square.shape[1] // columns)
        return np.asarray(blocks.any(axis=(1, 3)))

    def part(self, picture: Image, cells: Bool[np.ndarray, "rows columns"]) -> Part | None:
        """What is redrawn of a picture, after it is made square; None where nothing is."""
        whole = fit(picture, self.codec.image.side)
        return Part.of(whole, self._pixels(cells)) if cells.any() else None

    def _pixels(self, cells: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "side side"]:
        patch = self.codec.image.config.downsampling
        return np.kron(cells, np.ones((patch, patch), dtype=bool))

    def pasted(
        self, picture: Image, codes: Sequence[int], cells: Bool[np.ndarray, "rows columns"]
    ) -> Image:
        """The redrawn cells laid into the original: what was not masked keeps its pixels."""
        drawn = self.codec.picture(codes)
        original = fit(picture, self.codec.image.side)
        return Image(np.where(self._pixels(cells)[..., None], drawn.pixels, original.pixels))
