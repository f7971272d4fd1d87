"""Captions against human ones: CIDEr-D and CIDEr (own), BLEU-4 and ROUGE-L (pycocoevalcap).

Words are lower-cased runs of letters, digits and apostrophes. The COCO server's Java tokenizer
differs in rare cases (it splits clitics), so scores are comparable within one table, and with
published ones to about a point.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64

from racm3.errors import ConfigError

LONGEST, SIGMA = 4, 6.0
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
Gram = tuple[str, ...]


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


class Weighted(NamedTuple):
    """A text as tf-idf vectors, one for each length of n-gram."""

    grams: list[dict[Gram, float]]
    norms: list[float]
    length: int


def cider(
    candidates: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    *,
    variant: Literal["cider", "cider-d"] = "cider-d",
) -> Float64[np.ndarray, " pictures"]:
    """Consensus of each candidate with its picture's references (Vedantam et al. 2015), times 10.

    CIDEr-D clips counts and penalises a difference of length; it is what the COCO server and the
    papers report as CIDEr. Document frequencies come from the references. Unlike the original
    CIDEr, words are not stemmed.
    """
    seen = Counter(gram for some in references for gram in {g for ref in some for g in _count(ref)})
    total = float(np.log(max(len(references), 1)))
    scores = []
    for candidate, some in zip(candidates, references, strict=True):
        mine = _weigh(candidate, seen, total)
        theirs = [_weigh(reference, seen, total) for reference in some]
        likeness = [_likeness(mine, one, clipped=variant == "cider-d") for one in theirs]
        scores.append(10 * float(np.mean(likeness)))
    return np.array(scores, dtype=np.float64)


def _count(text: Sequence[str]) -> Counter[Gram]:
    return Counter(
        tuple(text[start : start + n])
        for n in range(1, LONGEST + 1)
        for start in range(len(text) - n + 1)
    )


def _weigh(text: Sequence[str], seen: Counter[Gram], total: float) -> Weighted:
    grams: list[dict[Gram, float]] = [{} for _ in range(LONGEST)]
    for gram, count in _count(text).items():
        grams[len(gram) - 1][gram] = count * (total - float(np.log(max(1, seen[gram]))))
    norms = [float(np.sqrt(sum(w * w for w in some.values()))) for some in grams]
    return Weighted(grams, norms, len(text))


def _likeness(mine: Weighted, theirs: Weighted, *, clipped: bool) -> float:
    total = 0.0
    for n in range(LONGEST):
        one, other = mine.grams[n], theirs.grams[n]
        shared = one.keys() & other.keys()
        dot = sum((min(one[g], other[g]) if clipped else one[g]) * other[g] for g in shared)
        scale = mine.norms[n] * theirs.norms[n]
        total += dot / scale if scale else 0.0
    # The length of a text is counted in bigrams, as the reference implementation does.
    apart = max(mine.length - 1, 0) - max(theirs.length - 1, 0)
    penalty = float(np.exp(-(apart**2) / (2 * SIGMA**2))) if clipped else 1.0
    return penalty * total / LONGEST


def coco_scores(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> dict[str, Float64[np.ndarray, " pictures"]]:
    """BLEU-4 (sentence level) and ROUGE-L of every candidate, by pycocoevalcap."""
    try:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError as error:
        raise ConfigError(
            "BLEU and ROUGE need pycocoevalcap; `pip install -c constraints.txt 'racm3[study]'`"
        ) from error
    said = {i: [" ".join(one)] for i, one in enumerate(candidates)}
    right = {i: [" ".join(ref) for ref in some] for i, some in enumerate(references)}
    bleu = Bleu(4).compute_score(right, said, verbose=0)[1][3]
    rouge = Rouge().compute_score(right, said)[1]
    return {"bleu-4": np.asarray(bleu, np.float64), "rouge-l": np.asarray(rouge, np.float64)}
