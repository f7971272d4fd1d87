"""What requests and answers look like; the OpenAPI page is made of these."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.system import Settings
from racm3.system.fewshot import By
from racm3.system.voice import LONGEST_PROMPT

MOST_CANDIDATES, MOST_DOCUMENTS, MOST_PICTURES = 16, 8, 64
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGA"
    "hKmMIQAAAABJRU5ErkJggg=="
)

Prompt = Annotated[str, Field(min_length=1, max_length=LONGEST_PROMPT)]
Picture = Annotated[
    str, Field(description="base64 or a data: URL; http(s) only from hosts that are allowed")
]


class Problem(BaseModel):
    """An error, in OpenAI's shape: the message says what was found and what to do."""

    class Detail(BaseModel):
        message: str
        type: str
        param: str | None = None
        code: str | None = None

    error: Detail


EITHER: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "text/event-stream": {}}, "description": "or events"}
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "It cannot be done; the message says why."},
    404: {"model": Problem, "description": "There is no such thing."},
    409: {"model": Problem, "description": "This memory cannot be changed."},
    413: {"model": Problem, "description": "The body is too large."},
    422: {"model": Problem, "description": "The request has the wrong shape."},
    429: {"model": Problem, "description": "Too many requests at once: see Retry-After."},
    503: {"model": Problem, "description": "It took too long, or the server is stopping."},
}


Snapshot = Annotated[
    str | None,
    Field(max_length=200, description="read an earlier state of the memory, named as answers do"),
]


def _counted(said: Any) -> Any:
    """One sentence for what is neither of the two, where there would be one for each."""
    if said == "each" or (isinstance(said, int) and 0 <= said <= MOST_DOCUMENTS):
        return said
    raise ValueError(f"give a number from 0 to {MOST_DOCUMENTS}, or `each`")


Count = Annotated[
    Annotated[int, Field(ge=0, le=MOST_DOCUMENTS)] | Literal["each"], BeforeValidator(_counted)
]


class How(BaseModel):
    """How to answer; what is not said is as the system does it best."""

    model_config = ConfigDict(extra="forbid", strict=True)

    generator: Literal["racm3", "cm3"] = "racm3"
    seed: int | None = Field(None, ge=0, lt=2**32)
    documents: Count | None = Field(
        None, description="how many to consult; `each`: one for each thing asked for, four at most"
    )
    candidates: int | None = Field(None, ge=1, le=MOST_CANDIDATES)
    temperature: float | None = Field(None, ge=0, le=10)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, le=2**16)
    strategy: Literal["top_p", "cd_k", "half"] | None = None
    guidance: float | None = Field(None, ge=0, le=100)
    context_weight: float | None = Field(
        None, ge=0, le=10, description="how much documents count against the prompt alone"
    )
    weights: list[Annotated[float, Field(ge=0, le=10)]] = Field(
        [], max_length=2, description="how much each consulted document counts: 0 not at all"
    )
    where: str | None = Field(None, max_length=1000, description="SQL over the memory's metadata")
    least: float | None = Field(
        None, ge=-1, le=1, description="documents that score less are not read; -1 reads all"
    )
    rerank: int | None = Field(
        None, ge=0, le=1024, description="found documents that a picture's rest chooses among"
    )
    as_typed: bool | None = Field(
        None, description="read a caption as it is typed, not in the words of the training"
    )
    snapshot: Snapshot = None
    influence: bool = Field(False, description="say how much each consulted document mattered")

    def settings(self, base: Settings) -> Settings:
        sampling = _changed(base.sampling, self, "temperature", "top_p", "top_k", "strategy")
        assert isinstance(sampling, Sampling)
        guidance = _changed(base.guidance, self, "context_weight")
        assert isinstance(guidance, Guidance)
        if self.guidance is not None:
            guidance = replace(guidance, weight=self.guidance, caption_weight=None)
        guidance = replace(guidance, documents=tuple(self.weights))
        settings = _changed(
            base, self, "seed", "documents", "candidates", "where", "least", "rerank", "as_typed"
        )
        assert isinstance(settings, Settings)
        return replace(settings, sampling=sampling, guidance=guidance)


class Loose(BaseModel):
    """Clients send settings of models that we are not; what we cannot follow is ignored here."""

    model_config = ConfigDict(extra="ignore", strict=True)
    model: str = "racm3"
    seed: int | None = Field(None, ge=0, lt=2**32)

    def settings(self, base: Settings) -> Settings:
        said = {name: getattr(self, name, None) for name in ("seed", "temperature", "top_p")}
        said["candidates"] = getattr(self, "n", None)
        return How.model_validate(said).settings(base)


def _changed(base: Any, asked: BaseModel, *names: str) -> Any:
    given = {name: value for name in names if (value := getattr(asked, name)) is not None}
    return replace(base, **given)


class Draw(How):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"caption": "the flag of Uganda on a blue background"}]},
    )
    caption: Prompt
    like: list[Picture] = Field([], max_length=MOST_DOCUMENTS, description="read these instead")
    leave_out: list[int] = Field([], max_length=64, description="ids of documents not to consult")


class Caption(How):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"picture": DOT}]}
    )
    picture: Picture


class Box(BaseModel):
    """A part of a picture in percent."""

    model_config = ConfigDict(extra="forbid", strict=True)
    left: float = Field(0, ge=0, le=100)
    top: float = Field(0, ge=0, le=100)
    right: float = Field(100, ge=0, le=100)
    bottom: float = Field(100, ge=0, le=100)

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.right},{self.bottom}"


class Infill(How):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"picture": DOT, "box": {"top": 50}}]},
    )
    picture: Picture
    box: Box | None = None
    mask: Picture | None = Field(None, description="white is redrawn; instead of a box")
    caption: str = Field("", max_length=LONGEST_PROMPT)
    like: list[Picture] = Field([], max_length=MOST_DOCUMENTS, description="read these instead")


class Classify(How):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"picture": DOT, "examples": {"X": [DOT], "Y": [DOT]}}]},
    )
    picture: Picture
    examples: dict[Annotated[str, Field(min_length=1, max_length=40)], list[Picture]] = Field(
        max_length=16, description="labels with equally many pictures each"
    )
    by: By = Field("picture", description="whose probability decides: the picture's or the label's")


class Complete(How):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"html": "<p>a guitar</p>", "more": 1}]},
    )
    html: str = Field(description='<p>text</p> and <img alt="text" src="data:...">')
    more: int = Field(2, ge=1, le=4)


class Search(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"text": "a flag"}]}
    )
    text: str = Field("", max_length=LONGEST_PROMPT)
    picture: Picture | None = None
    count: int = Field(5, ge=1, le=100)
    where: str | None = Field(None, max_length=1000)
    snapshot: Snapshot = None


class NewDocument(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"text": "my dog", "pictures": [DOT]}]},
    )
    text: str = Field("", max_length=20_000)
    pictures: list[Picture] = Field([], max_length=MOST_PICTURES)
    metadata: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,40}$")], str] = Field(
        {}, max_length=16
    )


class Consulted(BaseModel):
    id: int | None
    score: float | None
    title: str
    shares_words: bool | None = Field(None, description="whether it has a word of what was asked")
    pictures: list[str] = []


class Influenced(BaseModel):
    id: int | None
    score: float | None
    title: str
    nats: float = Field(description="log-probability of the answer with it minus without it")
    cells: list[list[float]] | None = None
    words: list[tuple[str, float]] = []


class Answered(BaseModel):
    """Every answer: what was made, and all that it was made with."""

    prompt: str
    revised_prompt: str | None = Field(None, description="the caption read, if in other words")
    snapshot: str
    settings: dict[str, Any]
    consulted: list[Consulted]
    influence: list[Influenced] | None = None
    images: list[str] | None = Field(None, description="base64 PNG, best first")
    scores: list[float] | None = Field(
        None, description="what ordered them: CLIP's, or of an infilling the mean log-probability"
    )
    texts: list[str] | None = None
    perplexities: list[float] | None = None
    label: str | None = None
    probabilities: dict[str, float] | None = None
    html: str | None = None


class Found(BaseModel):
    snapshot: str
    hits: list[Consulted]


class Changed(BaseModel):
    ids: list[int]
    snapshot: str
