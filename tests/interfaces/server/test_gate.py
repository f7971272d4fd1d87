"""Who is let in, how much is taken on, and what happens when somebody leaves."""

import base64
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi.testclient import TestClient

from racm3.errors import ConfigError
from racm3.interfaces.server.app import create_app
from racm3.interfaces.server.config import ServerConfig
from tests.conftest import picture
from tests.interfaces.server.conftest import served


def app(system, **config: object):
    return create_app(system, ServerConfig(**config), page=False)  # type: ignore[arg-type]


def test_other_machines_need_a_key(fresh):
    with pytest.raises(ConfigError, match="give a key"):
        ServerConfig(host="0.0.0.0")
    with TestClient(app(fresh, host="0.0.0.0", key="secret")) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/models").status_code == 401
        for headers in ({"authorization": "Bearer wrong"}, {"cookie": "racm3_key=wrong"}):
            assert client.get("/v1/models", headers=headers).status_code == 401
        right = {"authorization": "Bearer secret"}
        assert client.get("/v1/models", headers=right).status_code == 200
        assert client.get("/v1/models?key=secret").status_code == 200
        assert client.get("/v1/models").status_code == 200, "the link left a cookie"
        for other in ("other", "%0d%0aset-cookie:%20x=y"):
            answer = client.get(f"/v1/models?key={other}")
            assert answer.status_code == 200
            assert "set-cookie" not in answer.headers, "what is not the key is not kept"


def test_pages_of_other_places_cannot_use_a_server_without_a_key(client):
    assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/healthz", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/healthz", headers={"origin": "http://localhost"}).status_code == 200


def test_large_bodies_are_refused_whether_they_say_so_or_not(fresh):
    with TestClient(app(fresh, body_mb=0.01), base_url="http://localhost") as client:
        body = b'{"caption": "' + b"x" * 20_000 + b'"}'
        headers = {"content-type": "application/json"}
        assert client.post("/api/draw", content=body, headers=headers).status_code == 413
        parts = (body[i : i + 1000] for i in range(0, len(body), 1000))
        assert client.post("/api/draw", content=parts, headers=headers).status_code == 413


def test_a_bomb_of_a_picture_is_a_clients_mistake(client):
    png = bytearray(picture(1).png())
    png[16:24] = struct.pack(">II", 9_000, 9_000)
    png[29:33] = struct.pack(">I", zlib.crc32(bytes(png[12:29])))
    sent = base64.b64encode(bytes(png)).decode()
    answer = client.post("/api/caption", json={"picture": sent})
    assert answer.status_code == 400
    assert "make it smaller" in answer.json()["error"]["message"]


class Slow:
    """Holds every answer of a service at its first step until it is let go."""

    def __init__(self, service) -> None:
        self.go, self.stopped = threading.Event(), 0
        engine = service.batchers[0].engine
        choose = engine.choose

        def held(talk):
            self.go.wait(20)
            try:
                return choose(talk)
            except Exception:
                self.stopped += 1
                raise

        engine.choose = held


def test_more_than_the_queue_holds_is_told_to_come_back(fresh):
    application = app(fresh, queue=2)
    slow = Slow(application.state.service)
    with served(application) as url, ThreadPoolExecutor(4) as pool:
        asked = {"json": {"caption": "an apple"}, "timeout": 60}
        first = [pool.submit(httpx.post, f"{url}/api/draw", **asked) for _ in range(2)]
        wait(lambda: application.state.desk.count == 2)
        refused = httpx.post(f"{url}/api/draw", **asked)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        slow.go.set()
        assert [one.result().status_code for one in first] == [200, 200]
        assert httpx.post(f"{url}/api/draw", **asked).status_code == 200


def test_who_leaves_frees_the_slot(fresh):
    application = app(fresh, queue=1)
    slow = Slow(application.state.service)
    with served(application) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/api/draw", json={"caption": "an apple"}, timeout=0.5)
        time.sleep(0.3)
        slow.go.set()
        wait(lambda: application.state.desk.count == 0)
        assert slow.stopped == 1
        again = httpx.post(f"{url}/api/draw", json={"caption": "an apple"}, timeout=60)
        assert again.status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(fresh):
    application = app(fresh, seconds=0.3)
    slow = Slow(application.state.service)
    with served(application) as url:
        answer = httpx.post(f"{url}/api/draw", json={"caption": "an apple"}, timeout=60)
        assert answer.status_code == 503
        assert "fewer candidates" in answer.json()["error"]["message"]
        slow.go.set()
        wait(lambda: application.state.desk.count == 0)


def wait(until) -> None:
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)
