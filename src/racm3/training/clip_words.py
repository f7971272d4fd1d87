"""Teaching a CLIP's text tower to tell which words it was given, also those that it never met.

A published CLIP has met nearly every word; a small one finds nothing by a word that no caption of
its training had. A new text tower learns two things side by side: what the old one says, and, in
numbers of the vector that pictures leave at zero, a sketch of the words themselves: a random
projection of the tokenizer's pieces, rare ones counting more (random indexing, Kanerva et al.
2000). Who asks in words that nobody knows finds the document that says them.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor

from racm3.document import Document
from racm3.errors import ConfigError
from racm3.retrieval.clip import Clip
from racm3.retrieval.embedding import Sides
from racm3.retrieval.encoder import ClipEncoder, pad
from racm3.runtime import autocast
from racm3.training.clip import TowersLearner, TowersTraining

# Texts of about the same length are read side by side.
AT_ONCE = 128
UNSEEN = 1_000_000
# A text, and what in it the old tower has met: all, a part or nothing.
Lines = Callable[[int], Sequence[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class WordTraining(TowersTraining):
    """How a text tower learns to tell words.

    Args:
        room: By how many numbers vectors get longer.
        weight: How much longer the words' part of a text is than what the text means.
    """

    lr: float = 2e-3
    width: int = 256
    layers: int = 2
    room: int = 96
    weight: float = 2.0


def telling(before: ClipEncoder, config: WordTraining, sides: Sides) -> ClipEncoder:
    """The picture tower of `before` beside a new text tower, in longer vectors.

    Pictures leave at zero what is new. A word's pieces are the same wherever it stands.

    Raises:
        ConfigError: There is no room for words, or more of it than the tower is wide.
    """
    room, width, old = config.room, config.width, before.clip.config
    if not 0 < room <= width:
        raise ConfigError(f"room {room} for words is not in 1 to {width}, the text tower's width")
    tower = replace(
        old.text_config,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=config.layers,
        num_attention_heads=max(1, width // 64),
    )
    torch.manual_seed(config.seed)
    clip = Clip(replace(old, text_config=tower, projection_dim=before.dim + room))
    for module in clip.text_model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
            torch.nn.init.normal_(module.weight, std=0.02)
    torch.nn.init.normal_(clip.text_model.embeddings.token_embedding.weight, std=0.1)
    seen = before.clip.visual_projection.weight
    clip.vision_model.load_state_dict(before.clip.vision_model.state_dict())
    clip.visual_projection.load_state_dict({"weight": F.pad(seen, (0, 0, 0, room))})
    clip.logit_scale.data.copy_(before.clip.logit_scale.data)
    tokenizer = Tokenizer.from_str(before.tokenizer.to_str())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)  # type: ignore[assignment]
    told = replace(sides, words=room, weight=config.weight)
    return ClipEncoder(clip, tokenizer, before.preprocess, name=before.name, sides=told)


def sketches(
    encoder: ClipEncoder, texts: Sequence[str], room: int
) -> Float[Tensor, "vocabulary room"]:
    """What each of the tokenizer's pieces adds to a sketch: the direction in which its embedding
    begins, the longer the fewer of the texts have it (Spärck Jones 1972); marks add nothing."""
    embedded = encoder.clip.text_model.embeddings.token_embedding.weight.detach()
    met = Counter(piece for text in texts for piece in set(encoder.windows(text)[0]))
    pieces = [encoder.tokenizer.id_to_token(piece) or "" for piece in range(len(embedded))]
    rare = torch.tensor([np.log((len(texts) + 1) / (met[i] + 1)) for i in range(len(pieces))])
    spelt = torch.tensor([any(c.isalnum() for c in piece.lstrip("Ġ")) for piece in pieces])
    spelt[[encoder.begin, encoder.end]] = False
    weight = torch.where(spelt, rare / rare.max(), 0.0).float()
    return F.normalize(embedded[:, :room], dim=-1) * weight[:, None]


class WordsLearner(TowersLearner):
    """Teaches the text tower of what `telling` makes.

    Args:
        encoder: What learns.
        before: The CLIP whose text tower is its teacher.
        lines: What it reads, by the step.
        validation: Documents whose texts are to find their pictures.
    """

    config: WordTraining

    def __init__(
        self,
        encoder: ClipEncoder,
        before: ClipEncoder,
        config: WordTraining,
        lines: Lines,
        validation: Sequence[Document],
        device: torch.device,
    ) -> None:
        learnt = [*encoder.clip.text_model.parameters(), *encoder.clip.text_projection.parameters()]
        super().__init__(encoder, config, learnt, device)
        self.before, self.lines, self.validation = before, lines, validation
        before.clip.to(device)
        usual = [known for _, known in lines(UNSEEN) if known]
        self.sketches = sketches(encoder, usual, config.room).to(device)

    def learn_from(self, step: int) -> dict[str, float]:
        known, words = self.errors(step)
        self.update(step, known + words)
        return {"loss": (known + words).item(), "known": known.item(), "words": words.item()}

    def errors(self, step: int) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Squared distances from what the teacher says, nothing where it knows nothing, and from
        the sketches."""
        lines = self.lines(step)
        said = self._read(self.encoder, [text for text, _ in lines])
        meant, sketched = said.split([self.before.dim, self.config.room], dim=1)
        met = [row for row, (_, known) in enumerate(lines) if known]
        right = torch.zeros_like(meant)
        with torch.no_grad():
            taught = self._read(self.before, [lines[row][1] for row in met])
            right[met] = F.normalize(taught, dim=-1)
        words = self.sketched([text for text, _ in lines])
        return _apart(meant, right), _apart(sketched, words)

    def sketched(self, texts: Sequence[str]) -> Float[Tensor, "batch room"]:
        """The sum of a text's pieces, on the unit sphere."""
        rows = [self.sketches[self.encoder.windows(text)[0]].sum(dim=0) for text in texts]
        return F.normalize(torch.stack(rows), dim=-1)

    def _read(self, encoder: ClipEncoder, texts: Sequence[str]) -> Float[Tensor, "batch dim"]:
        windows = [encoder.windows(text)[0] for text in texts]
        order = sorted(range(len(windows)), key=lambda row: len(windows[row]))
        vectors = []
        for start in range(0, len(order), AT_ONCE):
            ids, lengths = pad([windows[row] for row in order[start : start + AT_ONCE]])
            with autocast(self.device, self.config.precision):
                vectors.append(encoder.clip.text(ids.to(self.device), lengths.to(self.device)))
        return torch.cat(vectors).float()[torch.tensor(order).argsort()]

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Errors on texts that are never learnt from, and recall of pictures by texts."""
        known, words = self.errors(UNSEEN)
        return {"known": known.item(), "words": words.item(), **self.recall(self.validation)}

    def export(self, folder: Path) -> None:
        """With words as loud as they are to be: what a text only seems to mean is never nothing."""
        said = self.clip.text_projection.weight.data[self.before.dim :]
        learnt = said.clone()
        said *= self.config.weight
        self.encoder.save(folder)
        said.copy_(learnt)


def _apart(one: Float[Tensor, "batch dim"], other: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    return (one - other).square().sum(dim=1).mean()
