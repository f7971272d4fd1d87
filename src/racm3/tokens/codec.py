"""Documents to segments of ids and back: text tokenizer, image tokenizer and one vocabulary."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from racm3.document import Document, Image, Text
from racm3.errors import DocumentError
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vocabulary import Vocabulary


class Kind(IntEnum):
    TEXT = 0
    IMAGE = 1


@dataclass(frozen=True, slots=True)
class Segment:
    """One text or one whole picture as ids, without the `<break>` that closes it."""

    kind: Kind
    ids: tuple[int, ...]


Segments = tuple[Segment, ...]


def flatten(segments: Iterable[Segment], vocabulary: Vocabulary) -> list[int]:
    """Every segment closed by `<break>`; the document is not closed yet."""
    return [id_ for segment in segments for id_ in (*segment.ids, vocabulary.break_)]


@dataclass(frozen=True)
class Codec:
    text: TextTokenizer
    image: ImageTokenizer

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(len(self.text), self.image.codes)

    def encode(self, documents: Sequence[Document]) -> list[Segments]:
        """Every document's segments; all pictures go through the image tokenizer together."""
        pictures = [picture for document in documents for picture in document.images]
        codes = iter(self.image.encode(pictures) + self.vocabulary.image.start)
        encoded = []
        for document in documents:
            segments = []
            for part in document.parts:
                if isinstance(part, Text):
                    segments.append(Segment(Kind.TEXT, tuple(self.text.encode(part.content))))
                else:
                    segments.append(Segment(Kind.IMAGE, tuple(next(codes).tolist())))
            encoded.append(tuple(segments))
        return encoded

    def decode(self, ids: Sequence[int]) -> Document:
        """The document that complete segments of ids say; the closing `</s>` may be there."""
        vocabulary, parts = self.vocabulary, []
        open_: list[int] = []
        for id_ in ids:
            if id_ == vocabulary.break_:
                parts.append(self._part(open_))
                open_ = []
            elif id_ != vocabulary.end:
                open_.append(id_)
        if open_:
            raise DocumentError("the last segment of the ids is not closed by <break>")
        return Document(tuple(parts))

    def _part(self, ids: list[int]) -> Text | Image:
        vocabulary = self.vocabulary
        if ids and ids[0] in vocabulary.image:
            return self.picture(ids)
        strange = [id_ for id_ in ids if id_ not in vocabulary.text]
        if strange:
            raise DocumentError(f"a text segment holds id {strange[0]}, which is not text")
        return Text(self.text.decode(ids))

    def picture(self, ids: Sequence[int]) -> Image:
        """One grid of image ids as a picture."""
        vocabulary, grid = self.vocabulary, self.image.grid
        if len(ids) != len(grid) or any(id_ not in vocabulary.image for id_ in ids):
            raise DocumentError(
                f"{len(ids)} ids do not make a picture of {len(grid)} codes "
                f"({grid.rows} rows of {grid.columns})"
            )
        codes = np.array([ids], dtype=np.int64) - vocabulary.image.start
        return self.image.decode(codes)[0]
