"""Chat with pictures, as OpenAI's clients speak it."""

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from racm3.errors import GenerationError
from racm3.interfaces.server import schemas
from racm3.interfaces.server.desk import Desk
from racm3.interfaces.server.native import chained, sse
from racm3.interfaces.server.pictures import Pictures, to_url
from racm3.interfaces.server.service import Service
from racm3.system.filling import GAP
from racm3.system.results import Answer, Drawing
from racm3.system.voice import Watch

Stop = Literal["stop"]


class ImageUrl(BaseModel):
    model_config = ConfigDict(strict=True)
    url: str


class TextPart(BaseModel):
    model_config = ConfigDict(strict=True)
    type: Literal["text"]
    text: str


class ImagePart(BaseModel):
    model_config = ConfigDict(strict=True)
    type: Literal["image_url"]
    image_url: ImageUrl


class Turn(BaseModel):
    model_config = ConfigDict(strict=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]]


class Chat(schemas.Loose):
    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "messages": [
                        {
                            "role": "user",
                            "content": [{"type": "image_url", "image_url": {"url": schemas.DOT}}],
                        }
                    ]
                }
            ]
        },
    )
    messages: list[Turn] = Field(min_length=1, max_length=64)
    n: int = Field(1, ge=1, le=schemas.MOST_CANDIDATES)
    temperature: float | None = Field(None, ge=0, le=10)
    top_p: float | None = Field(None, gt=0, le=1)
    stream: bool = False

    @property
    def asked(self) -> list[TextPart | ImagePart]:
        """The parts of the user's last message; none where there is none."""
        turn = next((one for one in reversed(self.messages) if one.role == "user"), None)
        content = turn.content if turn else []
        return [TextPart(type="text", text=content)] if isinstance(content, str) else content

    @property
    def text(self) -> str:
        """All that the user's last message says."""
        return " ".join(part.text for part in self.asked if isinstance(part, TextPart)).strip()


def add(router: APIRouter, service: Service, desk: Desk, pictures: Pictures) -> None:
    @router.post("/chat/completions", responses=schemas.EITHER)
    async def complete(request: Request, body: Chat) -> Any:
        """The last message decides: a picture is described, a text with a gap `___` is filled,
        other words are drawn (a data: URL in Markdown)."""
        work = talking(service, pictures, body)
        if not body.stream:
            return chat_json(body.model, await desk.answer(request, "chat", work))
        events = desk.watched(request, "chat", work)
        if GAP in body.text:  # what is tried in the gap is not how the answer begins
            events = _results(events)
        return sse(chat_chunks(service, body.model, events, await anext(events)))


async def _results(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for event in events:
        if isinstance(event, Answer):
            yield event


def talking(service: Service, pictures: Pictures, body: Chat) -> Callable[[Watch], Answer]:
    system = service.generator(body.model)
    settings = body.settings(system.parts.settings)
    text = body.text

    def work(watch: Watch) -> Answer:
        if not any(one.role == "user" for one in body.messages):
            raise GenerationError("there is no message of the role `user` to answer")
        shown = [pictures.open(p.image_url.url) for p in body.asked if isinstance(p, ImagePart)]
        if GAP in text:
            return system.infill_text(text, shown[0] if shown else None, settings, watch=watch)
        if shown:
            return system.caption(shown[0], settings, watch=watch)
        return system.draw(text, settings, watch=watch)

    return work


def contents(answer: Answer) -> list[str]:
    """What a chat message can hold: words, or a picture as Markdown."""
    if isinstance(answer, Drawing):
        return [f"![{answer.prompt}]({to_url(image)})" for image in answer.images]
    return list(answer.texts)  # type: ignore[attr-defined]


def chat_json(model: str, answer: Answer) -> dict[str, Any]:
    choices = [
        {
            "index": number,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": content},
        }
        for number, content in enumerate(contents(answer))
    ]
    said = sum(len(ids) for ids in answer.trace.said) if answer.trace else 0
    usage = {"prompt_tokens": 0, "completion_tokens": said, "total_tokens": said}
    head = _chat_head(model, "chat.completion")
    return {**head, "choices": choices, "usage": usage, "racm3": answer.to_json()}


def _chat_head(model: str, kind: str) -> dict[str, Any]:
    id_ = f"chatcmpl-{uuid.uuid4().hex}"
    return {"id": id_, "object": kind, "created": int(time.time()), "model": model}


async def chat_chunks(
    service: Service, model: str, events: AsyncIterator[Any], first: Any
) -> AsyncIterator[str]:
    """Words of a single candidate as they are said; anything else when it is done."""
    head, sent = _chat_head(model, "chat.completion.chunk"), ""
    text = service.system.codec.vocabulary.text

    def chunk(number: int, delta: dict[str, Any], finish: Stop | None = None) -> str:
        choice = {"index": number, "delta": delta, "finish_reason": finish}
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

    async for event in chained(first, events):
        if isinstance(event, Answer):
            for number, content in enumerate(contents(event)):
                rest = content[len(sent) :] if content.startswith(sent) else content
                yield chunk(number, {"role": "assistant", "content": rest})
                yield chunk(number, {}, "stop")
        elif len(event) == 1 and event[0] and event[0][0] in text:
            said = service.system.codec.text.decode([i for i in event[0] if i in text])
            # A character may be cut in the middle; it is sent once it is whole.
            whole = said.rstrip("\N{REPLACEMENT CHARACTER}")
            if whole.startswith(sent) and len(whole) > len(sent):
                yield chunk(0, {"role": "assistant", "content": whole[len(sent) :]})
                sent = whole
    yield "data: [DONE]\n\n"
