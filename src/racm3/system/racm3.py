"""RA-CM3 itself: look documents up, read them, then draw, describe, infill, edit or classify."""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool

from racm3.document import Document, Image
from racm3.errors import GenerationError
from racm3.generation.batching import Speaker
from racm3.generation.engine import Engine
from racm3.generation.ranking import best_first
from racm3.generation.tasks import caption_task, complete_task, draw_task
from racm3.retrieval.config import Search
from racm3.retrieval.shelf import Shelf
from racm3.runtime import device as find_device
from racm3.system.cores import undivided
from racm3.system.fewshot import By, by_label, by_picture, one_of_each, require_equally_many
from racm3.system.filling import Gap, fillings
from racm3.system.influence import Influence, influences
from racm3.system.library import Library, given
from racm3.system.parts import Parts, open_parts, save_parts, system_folder
from racm3.system.redrawing import redrawings
from racm3.system.reranking import Rest
from racm3.system.results import (
    Answer,
    Classification,
    Completion,
    Consulted,
    Drawing,
    Settings,
    Writing,
    traced,
)
from racm3.system.surroundings import Part
from racm3.system.voice import LONGEST_TEXT, Voice, Watch
from racm3.tokens.placing import Placing


class RACM3:
    """An opened system. Every answer is a function of prompt, settings and memory snapshot.

    On a CPU an operation of a small generator takes one core while it answers; `cores` says how
    many, where another number is meant.
    """

    def __init__(self, parts: Parts, *, generator: str = "racm3", cores: int = 0) -> None:
        if generator not in parts.generators:
            raise GenerationError(
                f"this system has no generator {generator!r}, only {', '.join(parts.generators)}"
            )
        self.parts, self.generator = parts, generator
        self.codec, self.encoder = parts.codec, parts.encoder
        placing = Placing(self.codec.vocabulary, len(self.codec.image.grid), parts.align)
        self.engine = Engine(parts.generators[generator], placing)
        self.voice = Voice(self.codec, self.engine, parts.sizes)
        self.library, self.cores = Library(parts), cores

    @classmethod
    def open(
        cls,
        where: str | Path = "sample",
        *,
        memory: Shelf | str | Path | None = None,
        device: str = "auto",
        generator: str = "racm3",
        search: Search | None = None,
    ) -> "RACM3":
        """The shipped system (`sample`) or a folder; `memory` replaces the memory it came with, and
        `search` how that is searched."""
        shelf = Path(memory) if isinstance(memory, str) else memory
        parts = open_parts(system_folder(where), shelf, find_device(device))
        if search:
            parts.retriever = replace(parts.retriever, search=search)
        return cls(parts, generator=generator)

    def save(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        save_parts(self.parts, Path(folder), dtype=dtype)

    @cached_property
    def without_retrieval(self) -> "RACM3":
        """The CM3 baseline that was trained beside it, if there is one."""
        return RACM3(self.parts, generator="cm3", cores=self.cores)

    def remembering(self, shelf: Shelf) -> "RACM3":
        """The same system with another memory; nothing else is loaded or begun anew."""
        other = copy(self)
        other.parts = replace(self.parts, shelf=shelf)
        other.library = Library(other.parts)
        other.__dict__.pop("without_retrieval", None)
        return other

    def speaking(self, speaker: Speaker) -> "RACM3":
        """The same system whose generator is asked through another speaker."""
        other = copy(self)
        other.voice = replace(self.voice, speaker=speaker)
        return other

    @property
    def snapshot(self) -> str:
        return self.library.snapshot

    def consult(
        self, query: Document, settings: Settings, leave_out: Collection[int] = ()
    ) -> tuple[Consulted, ...]:
        """The documents that will be read before answering, best first; none for the baseline."""
        return () if self.generator == "cm3" else self.library.consult(query, settings, leave_out)

    def _read(self, caption: str, settings: Settings, *, redrawn: Part | None = None) -> str:
        """What is read of a caption; an empty or endless one is refused."""
        self.voice.text(caption)
        return self.library.rephrased(caption, settings, redrawn=redrawn)

    @undivided
    def draw(
        self,
        caption: str,
        settings: Settings | None = None,
        *,
        like: Sequence[Document | Image | Consulted] = (),
        leave_out: Collection[int] = (),
        watch: Watch | None = None,
    ) -> Drawing:
        """Draw a caption; `like` gives the documents to read instead of looking any up, and
        `leave_out` the ids of those that are not to be read."""
        settings = settings or self.parts.settings
        read = self._read(caption, settings)
        consulted = given(like) or self.consult(Document.of(read), settings, leave_out)
        task = draw_task(self.voice.text(read), len(self.codec.image.grid), self.codec.vocabulary)
        said = self.voice.say(task, consulted, settings, watch)
        images = [self.codec.picture(one.ids) for one in said]
        asked = self.encoder.sides.apart(self.encoder.texts([read])).meaning[0]
        scores = self.encoder.images(images) @ asked
        order = best_first(scores.tolist())
        return Drawing(
            caption,
            consulted,
            self.snapshot,
            settings,
            tuple(images[i] for i in order),
            tuple(float(scores[i]) for i in order),
            read if read != caption else None,
            trace=traced(task, said).ordered(order),
        )

    @undivided
    def caption(
        self, picture: Image, settings: Settings | None = None, *, watch: Watch | None = None
    ) -> Writing:
        """Describe a picture in words."""
        settings = (settings or self.parts.settings).saying
        consulted = self.consult(Document.of(picture), settings)
        vocabulary = self.codec.vocabulary
        task = caption_task(self.voice.segment(picture), vocabulary, longest=LONGEST_TEXT)
        said = self.voice.say(task, consulted, settings, watch)
        scores = self.voice.means(task, consulted, [one.ids for one in said], settings, watch)
        texts = [self.codec.text.decode(one.ids[:-1]) for one in said]
        order = best_first(scores)
        return Writing(
            "(a picture)",
            consulted,
            self.snapshot,
            settings,
            tuple(texts[i] for i in order),
            tuple(float(np.exp(-scores[i])) for i in order),
            trace=traced(task, said).ordered(order),
        )

    @undivided
    def infill_text(
        self,
        text: str,
        picture: Image | None = None,
        settings: Settings | None = None,
        *,
        watch: Watch | None = None,
    ) -> Writing:
        """Fill the gap `___` in a text, looking at the picture beside it if there is one."""
        settings = (settings or self.parts.settings).saying
        gap = Gap.of(text)
        # What is missing is what is asked for, and a picture shows it.
        consulted = self.consult(Document.of(picture or gap.known), settings)
        found = fillings(self.voice, gap, picture, consulted, settings, watch)
        return Writing(text, consulted, self.snapshot, settings, *found[:2], trace=found.trace)

    @undivided
    def infill(
        self,
        picture: Image,
        mask: Bool[np.ndarray, "height width"],
        caption: str = "",
        settings: Settings | None = None,
        *,
        documents: Sequence[Document | Image | Consulted] = (),
        watch: Watch | None = None,
    ) -> Drawing:
        """Redraw the masked part of a picture (True = redraw); the rest stays as it is.

        Candidates come by how likely the whole picture is: a CLIP does not see a seam. With
        `documents` this is editing: they are read instead of looked-up ones.

        Raises:
            GenerationError: The mask is empty, or not of the picture's size.
        """
        settings, size = settings or self.parts.settings, (picture.height, picture.width)
        if mask.shape != size:
            told = f"the mask has shape {mask.shape}, the picture {size}; mark its own pixels"
            raise GenerationError(told)
        cells, whole = self.voice.cells(mask), self.voice.segment(picture)
        part, caption = self.voice.part(picture, cells), caption.strip()
        read = self._read(caption, settings, redrawn=part) if caption else caption
        text = self.voice.text(read) if read else None
        # What was taken away is not asked about, nor is what answers the question exactly: a query
        # of words and picture would be nearest to the right document, which is then redundant.
        if documents:
            consulted = given(documents)
        elif text:
            consulted = self.consult(Document.of(read), settings)
        else:
            rest = Rest.of(picture, mask, whole, cells)
            consulted = rest.consulted(self.consult, self.voice, settings, watch)
        found = redrawings(self.voice, text, whole, cells, consulted, settings, watch)
        return Drawing(
            caption or "(infill)",
            consulted,
            self.snapshot,
            settings,
            tuple(self.voice.pasted(picture, one, cells) for one in found.pictures),
            found.scores,
            read if read != caption else None,
            trace=found.trace,
        )

    @undivided
    def complete(
        self,
        document: Document,
        settings: Settings | None = None,
        *,
        more: int = 2,
        watch: Watch | None = None,
    ) -> Completion:
        """Go on with an interleaved document for at most `more` texts or pictures."""
        settings = settings or self.parts.settings
        document.require_parts()
        # What goes on is what stands last; what was said before it would find other things.
        consulted = self.consult(Document(document.parts[-1:]), settings)
        segments = self.codec.encode([document])[0]
        size, vocabulary = len(self.codec.image.grid), self.codec.vocabulary
        task = complete_task(segments, size, vocabulary, more=more, longest=LONGEST_TEXT)
        said = self.voice.say(task, consulted, settings, watch)
        scores = self.voice.means(task, consulted, [one.ids for one in said], settings, watch)
        parts = [self.codec.decode(one.ids).parts for one in said]
        order = best_first(scores)
        return Completion(
            document.text or "(a picture)",
            consulted,
            self.snapshot,
            settings,
            tuple(Document((*document.parts, *parts[i])) for i in order),
            tuple(float(np.exp(-scores[i])) for i in order),
            trace=traced(task, said).ordered(order),
        )

    @undivided
    def classify(
        self,
        picture: Image,
        examples: Mapping[str, Sequence[Image]],
        settings: Settings | None = None,
        *,
        by: By = "picture",
        watch: Watch | None = None,
    ) -> Classification:
        """k-shot classification after equally many example pictures of each label.

        By `picture`: how likely the picture is after an example of the label, k of them averaged
        (the noisy channel of Min et al. 2022). By `label`: how likely the label is after one
        example of each, k passes averaged (RA-CM3 §4.5).
        """
        require_equally_many(examples)
        shown = {
            label: given([Document.of(label, shot) for shot in shots])
            for label, shots in examples.items()
        }
        ask = by_picture if by == "picture" else by_label
        # Examples are scenes of their own, met one by one in training: they are read as they are.
        found = ask(replace(self.voice, sizes=(1.0,)), picture, shown, watch)
        read, how = sum(one_of_each(shown), ()), settings or self.parts.settings
        return Classification("(a picture)", read, self.snapshot, how, found)

    @undivided
    def influences(self, answer: Answer, which: int = 0) -> list[Influence]:
        """How much each consulted document mattered to candidate `which` of an answer."""
        return influences(self.voice, answer, which)
