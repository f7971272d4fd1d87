"""The endpoints that OpenAI's clients speak: images, edits, embeddings, and chat beside them."""

import io
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, UploadFile
from fastapi.params import File, Form
from PIL import Image as PIL
from pydantic import ConfigDict, Field

from racm3.document import Document, Image
from racm3.errors import DocumentError, GenerationError
from racm3.interfaces.server import chat, schemas
from racm3.interfaces.server.desk import Desk
from racm3.interfaces.server.native import chained, sse
from racm3.interfaces.server.pictures import Pictures, to_base64
from racm3.interfaces.server.service import Service
from racm3.retrieval.embedding import embed
from racm3.system import RACM3, Settings
from racm3.system.results import Drawing
from racm3.system.voice import Watch

IMAGE = {"background": "opaque", "output_format": "png", "quality": "auto"}


class Generation(schemas.Loose):
    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        json_schema_extra={"examples": [{"prompt": "a guitar", "n": 1}]},
    )
    prompt: schemas.Prompt
    n: int = Field(1, ge=1, le=schemas.MOST_CANDIDATES)
    stream: bool = False
    partial_images: int = Field(0, ge=0, le=8)


class Embeddings(schemas.Loose):
    model_config = ConfigDict(
        extra="ignore", strict=True, json_schema_extra={"examples": [{"input": "a flag"}]}
    )
    input: schemas.Prompt | Annotated[list[str], Field(min_length=1, max_length=256)] = Field(
        description="texts, or data: URLs of pictures"
    )


def routes(service: Service, desk: Desk, pictures: Pictures) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=schemas.PROBLEMS)

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """The system's generators."""
        found = [
            {"id": name, "object": "model", "created": 0, "owned_by": "racm3"}
            for name in service.systems
        ]
        return {"object": "list", "data": found}

    @router.post("/images/generations", responses=schemas.EITHER)
    async def generate(request: Request, body: Generation) -> Any:
        """Draw a prompt. With `stream`, partial pictures come first."""
        system = service.generator(body.model)
        settings = body.settings(system.parts.settings)

        def work(watch: Watch) -> Drawing:
            return system.draw(body.prompt, settings, watch=watch)

        if not body.stream:
            return images_json(await desk.answer(request, "draw", work))
        events = desk.watched(request, "draw", work)
        return sse(partial_images(service, events, await anext(events), body.partial_images))

    @router.post("/images/edits")
    async def edit(
        request: Request,
        image: Annotated[list[UploadFile], File(alias="image")] = [],  # noqa: B006
        images: Annotated[list[UploadFile], File(alias="image[]")] = [],  # noqa: B006
        mask: Annotated[UploadFile | None, File()] = None,
        prompt: Annotated[str, Form(max_length=2000)] = "",
        n: Annotated[int, Form(ge=1, le=schemas.MOST_CANDIDATES)] = 1,
        model: Annotated[str, Form()] = "racm3",
    ) -> Any:
        """Redraw the transparent part of the mask; further pictures are read as examples."""
        sent = [await one.read() for one in (*image, *images)]
        hole = await mask.read() if mask else None
        system = service.generator(model)
        settings = schemas.How(candidates=n).settings(system.parts.settings)
        work = editing(system, settings, sent, hole, prompt)
        return images_json(await desk.answer(request, "infill", work))

    @router.post("/embeddings")
    async def embeddings(request: Request, body: Embeddings) -> dict[str, Any]:
        """Unit vectors of texts or pictures, as the memory is searched by."""
        asked = [body.input] if isinstance(body.input, str) else body.input
        vectors = await desk.answer(request, "embed", embedding(service, pictures, asked))
        data = [
            {"object": "embedding", "index": n, "embedding": vector}
            for n, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return {"object": "list", "data": data, "model": body.model, "usage": usage}

    chat.add(router, service, desk, pictures)
    return router


def editing(
    system: RACM3, settings: Settings, sent: list[bytes], hole: bytes | None, prompt: str
) -> Callable[[Watch], Drawing]:
    """The first picture is edited, the others are read; without a mask its own alpha is one."""

    def work(watch: Watch) -> Drawing:
        if not sent:
            raise GenerationError("send at least one picture as `image`")
        first, others = Image.decode(sent[0], whole=True), [Image.decode(one) for one in sent[1:]]
        area = _transparent(hole if hole is not None else sent[0], first)
        return system.infill(first, area, prompt, settings, documents=others, watch=watch)

    return work


def embedding(
    service: Service, pictures: Pictures, asked: list[str]
) -> Callable[[Watch], list[list[float]]]:
    def work(_: Watch) -> list[list[float]]:
        documents = [
            Document.of(pictures.open(one) if one.startswith("data:") else one) for one in asked
        ]
        for document in documents:
            document.require_parts()
        vectors: list[list[float]] = embed(service.system.encoder, documents).tolist()
        return vectors

    return work


def _transparent(data: bytes, picture: Image) -> np.ndarray:
    """Where a mask may be redrawn: its alpha is 0."""
    Image.decode(data, name="the mask")
    alpha = np.array(PIL.open(io.BytesIO(data)).convert("RGBA"))[..., 3]
    if alpha.shape != (picture.height, picture.width):
        raise DocumentError(
            f"the mask is {alpha.shape[1]}x{alpha.shape[0]} but the picture is "
            f"{picture.width}x{picture.height}; make them the same size"
        )
    if not (alpha == 0).any():
        raise DocumentError("nothing is to be redrawn: make a part of the mask transparent")
    return alpha == 0


def images_json(drawing: Drawing) -> dict[str, Any]:
    revised = {"revised_prompt": drawing.revised_prompt} if drawing.revised_prompt else {}
    data = [{"b64_json": to_base64(image), **revised} for image in drawing.images]
    return {"created": int(time.time()), "data": data, "racm3": drawing.to_json()}


async def partial_images(
    service: Service, events: AsyncIterator[Any], first: Any, wanted: int
) -> AsyncIterator[str]:
    """Of the first candidate, `wanted` times on the way; then the best one."""
    cells, sent = len(service.system.codec.image.grid), 0
    common = {**IMAGE, "created_at": int(time.time()), "size": "auto"}
    async for event in chained(first, events):
        if isinstance(event, Drawing):
            data = {
                **common,
                "type": "image_generation.completed",
                "b64_json": to_base64(event.image),
                "racm3": event.to_json(),
            }
        elif sent < wanted and len(event[0]) * (wanted + 1) >= (sent + 1) * cells:
            picture = to_base64(service.system.voice.unfinished(event[0]))
            kind = "image_generation.partial_image"
            data = {**common, "type": kind, "b64_json": picture, "partial_image_index": sent}
            sent += 1
        else:
            continue
        yield f"event: {data['type']}\ndata: {json.dumps(data)}\n\n"
