"""The server put together: gate, endpoints, page, metrics."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from racm3 import __version__
from racm3.errors import Racm3Error
from racm3.interfaces.server import native, openai
from racm3.interfaces.server.config import ServerConfig
from racm3.interfaces.server.desk import Busy, Desk, Gone, TooSlow
from racm3.interfaces.server.gate import Gate, problem
from racm3.interfaces.server.pictures import Pictures
from racm3.interfaces.server.service import NotThere, ReadOnly, Service
from racm3.system import RACM3

STATUS: dict[type[Racm3Error], int] = {
    Busy: 429, TooSlow: 503, Gone: 499, ReadOnly: 409, NotThere: 404,
}  # fmt: skip
COME_BACK = {429: "2", 503: "10"}


def create_app(system: RACM3, config: ServerConfig | None = None, *, page: bool = True) -> FastAPI:
    """The whole application; `page` mounts the Gradio page at `/`."""
    config = config or ServerConfig()
    service, desk = Service(system, config), Desk(config)
    pictures = Pictures(config)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()
        service.close()

    app = FastAPI(
        title="racm3",
        version=__version__,
        lifespan=lifespan,
        description="A multimodal model that looks things up before it draws or describes.",
    )
    app.add_middleware(Gate, config=config)
    app.include_router(openai.routes(service, desk, pictures))
    app.include_router(native.routes(service, desk, pictures))
    app.include_router(native.memory_routes(service, desk, pictures))
    app.state.service, app.state.desk = service, desk
    health(app, service, desk)
    for kind, handler in ((Racm3Error, refused), (RequestValidationError, misshapen)):
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(HTTPException, plain)
    if page:
        from racm3.interfaces.page.app import mount

        mount(app, service)
    return app


def health(app: FastAPI, service: Service, desk: Desk) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, Any]:
        """Whether the server answers, and from which memory."""
        return {"status": "ok", "snapshot": service.system.snapshot, "version": __version__}

    @app.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """Counters for Prometheus."""
        return PlainTextResponse(generate_latest(desk.registry), media_type=CONTENT_TYPE_LATEST)


async def refused(_: Request, error: Exception) -> JSONResponse:
    """Mistakes that the client can act on, as one sentence."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    headers = {"retry-after": COME_BACK[status]} if status in COME_BACK else None
    return JSONResponse(problem(status, str(error)), status, headers)


async def misshapen(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(one) for one in first["loc"])
    return JSONResponse(problem(422, f"{place}: {first['msg']}"), 422)


async def plain(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        problem(error.status_code, str(error.detail)), error.status_code, error.headers
    )
