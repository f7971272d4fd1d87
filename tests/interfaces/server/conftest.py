"""A server over the tiny system, in this process and on a real port."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import uvicorn
from fastapi.testclient import TestClient

from racm3.interfaces.server.app import create_app
from racm3.interfaces.server.config import ServerConfig
from racm3.interfaces.server.service import changeable
from racm3.system import RACM3


@pytest.fixture
def fresh(system: RACM3) -> RACM3:
    """The tiny system with a memory of its own that tests may change."""
    return changeable(RACM3(replace(system.parts)))


@pytest.fixture
def client(fresh: RACM3) -> Iterator[TestClient]:
    app = create_app(fresh, ServerConfig(), page=False)
    with TestClient(app, base_url="http://localhost") as one:
        yield one


@pytest.fixture
def live(fresh: RACM3) -> Iterator[str]:
    with served(create_app(fresh, ServerConfig(), page=False)) as url:
        yield url


class served:  # noqa: N801
    """An application on a free port of this machine."""

    def __init__(self, app: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.server = uvicorn.Server(
            uvicorn.Config(app, port=self.port, log_level="warning")  # type: ignore[arg-type]
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(10)
