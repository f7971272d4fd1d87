"""Answers: what was made, and everything that it was made with."""

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL.PngImagePlugin import PngInfo

from racm3.document import Document, Image
from racm3.errors import ConfigError
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.generation.talk import Said
from racm3.generation.tasks import AT_ONCE, EACH, Task
from racm3.tokens.markup import paragraph, to_html


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to answer; the same settings, memory snapshot and prompt give the same answer.

    Args:
        seed: Decides every throw of the dice.
        documents: How many documents to consult, of which more than two are read two at a time; or
            `each`: one for each thing that is asked for, four at most, all read at once.
        candidates: How many answers to make; the best by CLIP (pictures) or by perplexity
            (text) comes first.
        sampling: How ids are drawn.
        guidance: Classifier-free guidance.
        where: SQL filter over the memory's metadata, applied before the search.
        least: Documents with a lower score are not read, since a wrong one misleads more than none.
            A score is the CLIP's inner product: where words are searched, too, they decide instead.
        rerank: Where a picture is redrawn without words: so many found documents, whatever they
            score, are compared by how likely the rest of it is after each, and none is read after
            which it is less likely than after none. Below 2 the retriever's order stands.
        as_typed: Whether captions are read as they were typed, though the system knows other words
            for them (`racm3.system.rephrasing`).
    """

    seed: int = 0
    documents: int | Literal["each"] = 2
    candidates: int = 1
    sampling: Sampling = field(default_factory=Sampling)
    guidance: Guidance = field(default_factory=Guidance)
    where: str | None = None
    least: float | None = None
    rerank: int = 0
    as_typed: bool = False

    def __post_init__(self) -> None:
        if self.most < 0 or self.candidates < 1:
            raise ConfigError("documents is at least 0 (or `each`) and candidates at least 1")

    @property
    def most(self) -> int:
        """No more documents than these are consulted."""
        return EACH if self.documents == "each" else self.documents

    @property
    def at_once(self) -> int:
        """How many documents a pass reads."""
        return EACH if self.documents == "each" else AT_ONCE

    @property
    def saying(self) -> "Settings":
        """The same where words are said; once there, a weight is the weight."""
        return replace(self, guidance=self.guidance.saying)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Settings":
        """Back from `asdict`, or from JSON; what is not said keeps its default."""
        kinds = {"sampling": Sampling, "guidance": Guidance}
        inner = {
            name: kinds[name](**{
                key: tuple(value) if isinstance(value, list) else value
                for key, value in values[name].items()
            })
            for name in kinds
            if name in values
        }  # fmt: skip
        return cls(**{**values, **inner})


@dataclass(frozen=True, slots=True)
class Consulted:
    """A document that was read before answering; `score` is None where the user handed it in.

    `shares_words` says whether it has a word of what was asked, or is only nearest in meaning; None
    where nobody looked for words.
    """

    id: int | None
    score: float | None
    document: Document
    shares_words: bool | None = None

    @property
    def title(self) -> str:
        return self.document.text or "(a picture without words)"

    def to_json(self) -> dict[str, Any]:
        told = {"id": self.id, "score": self.score, "title": self.title}
        return {**told, "shares_words": self.shares_words}

    @property
    def found(self) -> str:
        """How near it is, for people."""
        return "given" if self.score is None else f"{self.score:.2f}"

    @property
    def note(self) -> str:
        """What else is to be known of it."""
        return "shares no word with what was asked" if self.shares_words is False else ""

    @property
    def told(self) -> str:
        """All of this in one line."""
        return f"{self.title} ({'; '.join(filter(None, (self.found, self.note)))})"


class Trace(NamedTuple):
    """What was asked of the generator and what every candidate said, best first."""

    task: Task
    said: tuple[tuple[int, ...], ...]

    def ordered(self, order: Sequence[int]) -> "Trace":
        return Trace(self.task, tuple(self.said[i] for i in order))


def traced(task: Task, said: Sequence[Said]) -> Trace:
    return Trace(task, tuple(tuple(one.ids) for one in said))


@dataclass(frozen=True, slots=True)
class Answer:
    """What every answer carries: what was consulted, the memory snapshot, and the settings."""

    prompt: str
    consulted: tuple[Consulted, ...]
    snapshot: str
    settings: Settings
    trace: Trace | None = field(default=None, kw_only=True, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "prompt": self.prompt,
            "consulted": [one.to_json() for one in self.consulted],
            "snapshot": self.snapshot,
            "settings": asdict(self.settings),
        }

    def _repr_html_(self) -> str:
        cells = "".join(_figure(one) for one in self.consulted)
        read = f'<div style="display:flex;gap:8px">{cells}</div>' if cells else ""
        return f"{self._body_html()}{read}"

    def _body_html(self) -> str:
        """The answer itself, for a notebook; what was consulted comes below it."""
        return paragraph(self.prompt)


@dataclass(frozen=True, slots=True)
class Drawing(Answer):
    """Pictures, best first, each with the score that ordered them.

    `revised_prompt` is the caption that was read, where it has other words than the prompt.
    """

    images: tuple[Image, ...]
    scores: tuple[float, ...]
    revised_prompt: str | None = None

    @property
    def image(self) -> Image:
        return self.images[0]

    def to_json(self) -> dict[str, Any]:
        told = {"revised_prompt": self.revised_prompt, "scores": list(self.scores)}
        return {**Answer.to_json(self), **told}

    def save(self, path: str | Path) -> None:
        """A PNG that carries what it was made with in its `racm3` text field."""
        save_png(self.image, Path(path), self.to_json())

    def _repr_png_(self) -> bytes:
        return self.image.png()

    def _body_html(self) -> str:
        pictures = "".join(picture_html(image, 192) for image in self.images)
        read = paragraph(f"read as: {self.revised_prompt}") if self.revised_prompt else ""
        return f"{paragraph(self.prompt)}{read}{pictures}"


@dataclass(frozen=True, slots=True)
class Writing(Answer):
    """Texts, best first, each with its perplexity."""

    texts: tuple[str, ...]
    perplexities: tuple[float, ...]

    @property
    def text(self) -> str:
        return self.texts[0]

    def to_json(self) -> dict[str, Any]:
        answers = {"texts": list(self.texts), "perplexities": list(self.perplexities)}
        return {**Answer.to_json(self), **answers}

    def _body_html(self) -> str:
        return paragraph(self.text)


@dataclass(frozen=True, slots=True)
class Completion(Answer):
    """Whole documents, best first, each with the perplexity of what was added."""

    documents: tuple[Document, ...]
    perplexities: tuple[float, ...]

    @property
    def document(self) -> Document:
        return self.documents[0]

    def to_json(self) -> dict[str, Any]:
        answers = {
            "texts": [one.text for one in self.documents],
            "perplexities": list(self.perplexities),
        }
        return {**Answer.to_json(self), **answers}

    def _body_html(self) -> str:
        return to_html(self.document)


@dataclass(frozen=True, slots=True)
class Classification(Answer):
    """The probability of each label."""

    probabilities: dict[str, float]

    @property
    def label(self) -> str:
        return max(self.probabilities, key=lambda label: self.probabilities[label])

    def to_json(self) -> dict[str, Any]:
        answer = {"label": self.label, "probabilities": self.probabilities}
        return {**Answer.to_json(self), **answer}

    def _body_html(self) -> str:
        return "".join(
            paragraph(f"{label}: {probability:.0%}")
            for label, probability in self.probabilities.items()
        )


def save_png(image: Image, path: Path, about: dict[str, Any]) -> None:
    info = PngInfo()
    info.add_itxt("racm3", json.dumps(about, ensure_ascii=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.pil().save(path, format="PNG", pnginfo=info)


def picture_html(image: Image, side: int) -> str:
    data = base64.b64encode(image.png()).decode()
    style = f"width:{side}px;image-rendering:pixelated"
    return f'<img style="{style}" alt="" src="data:image/png;base64,{data}">'


def _figure(one: Consulted) -> str:
    pictures = "".join(picture_html(image, 96) for image in one.document.images)
    caption = f"<figcaption>{html.escape(one.told)}</figcaption>"
    return f'<figure style="margin:0;max-width:120px">{pictures}{caption}</figure>'
