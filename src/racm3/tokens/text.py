"""Text to ids and back: byte-level BPE, so that any text survives the round trip."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

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
    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    @classmethod
    def train(cls, texts: Iterable[str], *, size: int) -> "TextTokenizer":
        return cls(train_bpe(texts, size=size))

    def copy(self) -> Tokenizer:
        """The underlying tokenizer, to be extended elsewhere."""
        return Tokenizer.from_str(self.tokenizer.to_str())

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids), skip_special_tokens=False)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)

    @classmethod
    def open(cls, folder: Path) -> "TextTokenizer":
        return cls(open_tokenizer(folder / "tokenizer.json"))
