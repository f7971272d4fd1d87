"""Our own endpoints: everything that the command line does, with provenance in every answer."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from racm3.document import Document
from racm3.errors import GenerationError
from racm3.interfaces.masks import box_mask, picture_mask
from racm3.interfaces.server import schemas
from racm3.interfaces.server.desk import Desk
from racm3.interfaces.server.pictures import Pictures, to_base64
from racm3.interfaces.server.service import Service
from racm3.retrieval.entry import Entry
from racm3.system import RACM3
from racm3.system.results import Answer, Classification, Completion, Drawing, Writing
from racm3.system.results import Consulted as Read
from racm3.system.voice import Watch
from racm3.tokens.markup import from_html, to_html

Work = Callable[[Watch], schemas.Answered]


def routes(service: Service, desk: Desk, pictures: Pictures) -> APIRouter:
    router = APIRouter(prefix="/api", responses=schemas.PROBLEMS)
    work = Answering(service, pictures)

    @router.post("/draw", tags=["answers"])
    async def draw(request: Request, body: schemas.Draw) -> schemas.Answered:
        """Draw a caption, consulting the memory."""
        return await desk.answer(request, "draw", work.draw(body))

    @router.post(
        "/draw/stream",
        tags=["answers"],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "events"}},
    )
    async def draw_stream(request: Request, body: schemas.Draw) -> StreamingResponse:
        """The same as server-sent events: `partial` pictures row by row, then `done`."""
        events = desk.watched(request, "draw", work.draw(body))
        first = await anext(events)
        return sse(work.told(events, first))

    @router.post("/caption", tags=["answers"])
    async def caption(request: Request, body: schemas.Caption) -> schemas.Answered:
        """Describe a picture in words."""
        return await desk.answer(request, "caption", work.caption(body))

    @router.post("/infill", tags=["answers"])
    async def infill(request: Request, body: schemas.Infill) -> schemas.Answered:
        """Redraw a part of a picture; with `like` this is editing after examples."""
        return await desk.answer(request, "infill", work.infill(body))

    @router.post("/classify", tags=["answers"])
    async def classify(request: Request, body: schemas.Classify) -> schemas.Answered:
        """Say which label a picture deserves, after k example pictures of each."""
        return await desk.answer(request, "classify", work.classify(body))

    @router.post("/complete", tags=["answers"])
    async def complete(request: Request, body: schemas.Complete) -> schemas.Answered:
        """Go on with an interleaved document of texts and pictures."""
        return await desk.answer(request, "complete", work.complete(body))

    return router


def memory_routes(service: Service, desk: Desk, pictures: Pictures) -> APIRouter:
    router = APIRouter(prefix="/api/memory", tags=["memory"], responses=schemas.PROBLEMS)

    @router.post("/search")
    async def search(request: Request, body: schemas.Search) -> schemas.Found:
        """The nearest documents to a text, a picture, or both."""

        def work(_: Watch) -> schemas.Found:
            parts = [*([body.text] if body.text.strip() else [])]
            picture = [pictures.open(body.picture)] if body.picture else []
            system, query = service.generator("racm3", body.snapshot), Document.of(*parts, *picture)
            found = service.search(query, body.count, body.where, system)
            return schemas.Found(snapshot=system.snapshot, hits=[shown(one) for one in found])

        return await desk.answer(request, "search", work)

    @router.get("/documents/{id}")
    async def show(request: Request, id: int) -> schemas.Consulted:
        """One document, its pictures included."""

        def work(_: Watch) -> schemas.Consulted:
            return shown(Read(id, None, service.document(id)))

        return await desk.answer(request, "show", work)

    @router.post("/documents")
    async def add(request: Request, body: schemas.NewDocument) -> schemas.Changed:
        """Remember a document; the very next answer can consult it."""

        def work(_: Watch) -> schemas.Changed:
            opened = [pictures.open(one) for one in body.pictures]
            parts = [*([body.text] if body.text.strip() else [])]
            document = Document.of(*parts, *opened).require_parts()
            entry = Entry(document, source="server", metadata=body.metadata)
            ids = service.add([entry])
            return schemas.Changed(ids=ids, snapshot=service.system.snapshot)

        return await desk.answer(request, "add", work)

    @router.delete("/documents/{id}")
    async def remove(request: Request, id: int) -> schemas.Changed:
        """Forget a document for good: vector, text, bytes and earlier snapshots."""

        def work(_: Watch) -> schemas.Changed:
            service.remove([id])
            return schemas.Changed(ids=[id], snapshot=service.system.snapshot)

        return await desk.answer(request, "remove", work)

    return router


class Answering:
    """Requests as functions that a thread can run."""

    def __init__(self, service: Service, pictures: Pictures) -> None:
        self.service, self.pictures = service, pictures

    def draw(self, body: schemas.Draw) -> Work:
        def work(watch: Watch) -> schemas.Answered:
            system = self.service.generator(body.generator, body.snapshot)
            settings = body.settings(system.parts.settings)
            like = [self.pictures.open(one) for one in body.like]
            drawing = system.draw(
                body.caption, settings, like=like, leave_out=body.leave_out, watch=watch
            )
            return answered(system, drawing, body)

        return work

    def caption(self, body: schemas.Caption) -> Work:
        def work(watch: Watch) -> schemas.Answered:
            system = self.service.generator(body.generator, body.snapshot)
            settings = body.settings(system.parts.settings)
            writing = system.caption(self.pictures.open(body.picture), settings, watch=watch)
            return answered(system, writing, body)

        return work

    def infill(self, body: schemas.Infill) -> Work:
        def work(watch: Watch) -> schemas.Answered:
            system = self.service.generator(body.generator, body.snapshot)
            picture = self.pictures.open(body.picture, whole=True)
            if (body.mask is None) == (body.box is None):
                raise GenerationError("say what to redraw: either a box or a mask")
            if body.mask is not None:
                mask = picture_mask(self.pictures.open(body.mask, whole=True), picture)
            else:
                mask = box_mask(str(body.box), picture)
            drawing = system.infill(
                picture,
                mask,
                body.caption,
                body.settings(system.parts.settings),
                documents=[self.pictures.open(one) for one in body.like],
                watch=watch,
            )
            return answered(system, drawing, body)

        return work

    def classify(self, body: schemas.Classify) -> Work:
        def work(watch: Watch) -> schemas.Answered:
            system = self.service.generator(body.generator, body.snapshot)
            examples = {
                label: [self.pictures.open(one) for one in shots]
                for label, shots in body.examples.items()
            }
            settings = body.settings(system.parts.settings)
            picture = self.pictures.open(body.picture)
            verdict = system.classify(picture, examples, settings, by=body.by, watch=watch)
            return answered(system, verdict, body)

        return work

    def complete(self, body: schemas.Complete) -> Work:
        def work(watch: Watch) -> schemas.Answered:
            system = self.service.generator(body.generator, body.snapshot)
            settings = body.settings(system.parts.settings)
            document = from_html(body.html, fetch=self.pictures.open)
            done = system.complete(document, settings, more=body.more, watch=watch)
            return answered(system, done, body)

        return work

    async def told(self, events: AsyncIterator[Any], first: Any) -> AsyncIterator[str]:
        """Pictures as far as they have been drawn, whenever a row is full; then the answer."""
        voice, rows = self.service.system.voice, -1
        columns = self.service.system.codec.image.grid.columns
        async for event in chained(first, events):
            if isinstance(event, schemas.Answered):
                yield message("done", event.model_dump())
            elif len(event[0]) // columns > rows:
                rows = len(event[0]) // columns
                images = [to_base64(voice.unfinished(ids)) for ids in event]
                yield message("partial", {"images": images, "rows": rows})


def answered(system: RACM3, answer: Answer, how: schemas.How) -> schemas.Answered:
    """An answer as JSON, its pictures included."""
    made: dict[str, Any] = {}
    if isinstance(answer, Drawing):
        made = {"images": [to_base64(i) for i in answer.images], "scores": list(answer.scores),
                "revised_prompt": answer.revised_prompt}  # fmt: skip
    elif isinstance(answer, Writing):
        made = {"texts": list(answer.texts), "perplexities": list(answer.perplexities)}
    elif isinstance(answer, Classification):
        made = {"label": answer.label, "probabilities": answer.probabilities}
    elif isinstance(answer, Completion):
        made = {
            "html": to_html(answer.document),
            "texts": [one.text for one in answer.documents],
            "perplexities": list(answer.perplexities),
        }
    if how.influence:
        made["influence"] = [one.to_json() for one in system.influences(answer)]
    return schemas.Answered(
        prompt=answer.prompt,
        snapshot=answer.snapshot,
        settings=asdict(answer.settings),
        consulted=[shown(one) for one in answer.consulted],
        **made,
    )


def shown(one: Read) -> schemas.Consulted:
    pictures = [to_base64(image) for image in one.document.images]
    return schemas.Consulted(**one.to_json(), pictures=pictures)


async def chained(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for one in rest:
        yield one


def message(event: str, data: Any) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


def sse(events: AsyncIterator[str]) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
