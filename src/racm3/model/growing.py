"""Trained weights as the beginning of a generator with more ids."""

import torch
from jaxtyping import Int
from torch import Tensor

from racm3.errors import CheckpointError
from racm3.model.transformer import Transformer

BY_ID = ("embed_tokens.weight", "lm_head.weight")


def extended(model: Transformer, *, text: int, vocabulary: int, seed: int = 0) -> Transformer:
    """A language model as the beginning of a generator: its first `text` ids stay as they are.

    Codes and markers get new rows, drawn like the old ones are spread; ids that the tokenizer does
    not use (padding of the embedding) are dropped. Before training, text scores are unchanged.
    """
    if not text <= min(model.config.vocabulary, vocabulary):
        raise CheckpointError(
            f"the text tokenizer has {text} ids but the language model only "
            f"{model.config.vocabulary}; give the tokenizer that belongs to it"
        )
    wider = Transformer(model.config.sized(vocabulary))
    state, dice = model.state_dict(), torch.Generator().manual_seed(seed)
    for name in BY_ID:
        if name in state:
            old = state[name][:text]
            more = torch.randn(vocabulary - text, old.shape[1], generator=dice)
            state[name] = torch.cat([old, more.to(old) * old.std() + old.mean(dim=0)])
    wider.load_state_dict(state)
    return wider


def with_other_codes(
    model: Transformer, codes: range, parents: Int[Tensor, " codes"]
) -> Transformer:
    """The same generator for another codebook: every code begins as its parent among the old ones.

    Code number i takes the rows of the old code `parents[i]`: it is read as that one was and has
    its score, so that before training the children of one parent are equally likely.

    Args:
        model: A trained generator.
        codes: The ids of its codes so far.
        parents: The old code, counted from 0, that each new one comes from.

    Raises:
        CheckpointError: The generator has no such ids, or there is no such parent.
    """
    whole = model.config.vocabulary
    if codes.stop > whole or int(parents.max()) >= len(codes):
        raise CheckpointError(
            f"{len(codes)} codes with parents up to {int(parents.max())} do not fit a generator of "
            f"{whole} ids; give the system that it belongs to"
        )
    rest = torch.arange(codes.stop, whole)
    rows = torch.cat([torch.arange(codes.start), codes.start + parents, rest])
    finer = Transformer(model.config.sized(len(rows)))
    state = model.state_dict()
    state |= {name: state[name][rows] for name in BY_ID if name in state}
    finer.load_state_dict(state)
    return finer
