"""Mistakes that a user can act on: every message says found, expected, and what to do."""

import re


class Racm3Error(Exception):
    """The family of errors shown to people as one sentence, without a traceback."""


class ConfigError(Racm3Error):
    """A setting that cannot work, alone or beside another one."""


class DocumentError(Racm3Error):
    """A document, picture or text that cannot be used."""


class SourceError(Racm3Error):
    """A folder, file or shard that documents cannot be read from."""


class MemoryStoreError(Racm3Error):
    """A memory that is missing, damaged, or asked for something it does not hold."""


class CheckpointError(Racm3Error):
    """Saved weights or training state that cannot be opened."""


class GenerationError(Racm3Error):
    """A prompt or a decoding setting that the generator cannot follow."""


class VocabularyMismatch(Racm3Error):
    """A checkpoint and a tokenizer disagree about what the ids mean."""

    def __init__(self, checkpoint: int, tokenizer: int) -> None:
        super().__init__(
            f"the generator was trained with {checkpoint} ids but these tokenizers make "
            f"{tokenizer}; open the tokenizers saved beside the generator instead"
        )


def require_pattern(name: str, pattern: str) -> re.Pattern[str]:
    """A regular expression of a configuration, compiled.

    Raises:
        ConfigError: It is none.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{name} {pattern!r} is no regular expression: {error}") from error
