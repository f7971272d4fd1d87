"""One id space for both modalities: text first, then image codes, then markers (RA-CM3 §3.1)."""

from dataclasses import dataclass
from functools import cached_property

from racm3.errors import ConfigError

MASKS = 16


@dataclass(frozen=True)
class Vocabulary:
    """Which ids are text, which are image codes, and which structure the sequence.

    Args:
        text_size: Ids of the text tokenizer.
        codebook_size: Codes of the image tokenizer.
    """

    text_size: int
    codebook_size: int

    def __post_init__(self) -> None:
        if self.text_size < 1 or self.codebook_size < 1:
            raise ConfigError("a vocabulary needs at least one text id and one image code")

    @cached_property
    def text(self) -> range:
        return range(self.text_size)

    @cached_property
    def image(self) -> range:
        return range(self.text.stop, self.text.stop + self.codebook_size)

    @property
    def end(self) -> int:
        """`</s>`: closes a document; also the first id of every sample."""
        return self.image.stop

    @property
    def pad(self) -> int:
        return self.image.stop + 1

    @property
    def break_(self) -> int:
        """`<break>`: closes a segment."""
        return self.image.stop + 2

    @property
    def eoss(self) -> int:
        """`<eoss>`: closes an infilled span."""
        return self.image.stop + 3

    @cached_property
    def masks(self) -> range:
        """`<mask:0>` ... : where a span was taken out, and again in front of the span itself."""
        return range(self.image.stop + 4, self.image.stop + 4 + MASKS)

    def __len__(self) -> int:
        return self.masks.stop

    def names(self) -> dict[int, str]:
        """The markers as people write them."""
        fixed = {self.end: "</s>", self.pad: "<pad>", self.break_: "<break>", self.eoss: "<eoss>"}
        return fixed | {id_: f"<mask:{i}>" for i, id_ in enumerate(self.masks)}
