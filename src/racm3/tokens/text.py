"""Text to ids and back: byte-level BPE, so that any text survives the round trip."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from racm3.errors import CheckpointError


def train_bpe(texts: Iterable[str], *, size: int, specials: Sequence[str] = ()) -> Tokenizer:
    """A byte-level BPE with at most `size` ids, the specials first; any bytes can be encoded."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(specials),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def open_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise CheckpointError(
            f"{path} cannot be opened as a tokenizer ({error}); a tokenizer.json is expected"
        ) from error


class TextTokenizer:
    """Text as ids, and ids as text.

    A text begins as if a space stood before it, so a word has the same ids wherever it stands: a
    document begins with the name that a caption says after `a`. What goes on after other ids
    (`follows`) is taken as it is. Tokenizers that were saved without the space do without it.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    @classmethod
    def train(cls, texts: Iterable[str], *, size: int) -> "TextTokenizer":
        return cls(train_bpe((f" {text}" for text in texts), size=size)).spaced()

    @property
    def is_spaced(self) -> bool:
        return isinstance(self.tokenizer.normalizer, normalizers.Prepend)

    def spaced(self) -> "TextTokenizer":
        """The same ids, with a space before every text."""
        tokenizer = self._copy()
        tokenizer.normalizer = normalizers.Prepend(" ")
        tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
        return TextTokenizer(tokenizer)

    def among_markers(self) -> Tokenizer:
        """One to be extended by markers, between which texts stand.

        What it decodes shows the space before a text, and is not given another one when encoded.
        """
        tokenizer = self._unspaced()
        if self.is_spaced:
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        return tokenizer

    @cached_property
    def _following(self) -> Tokenizer:
        return self._unspaced()

    def _unspaced(self) -> Tokenizer:
        tokenizer = self._copy()
        if self.is_spaced:
            tokenizer.normalizer, tokenizer.decoder = None, decoders.ByteLevel()
        return tokenizer

    def _copy(self) -> Tokenizer:
        return Tokenizer.from_str(self.tokenizer.to_str())

    def encode(self, text: str, *, follows: bool = False) -> list[int]:
        tokenizer = self._following if follows else self.tokenizer
        return tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int], *, follows: bool = False) -> str:
        tokenizer = self._following if follows else self.tokenizer
        return tokenizer.decode(list(ids), skip_special_tokens=False)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)

    @classmethod
    def open(cls, folder: Path) -> "TextTokenizer":
        return cls(open_tokenizer(folder / "tokenizer.json"))
