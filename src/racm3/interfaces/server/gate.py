"""Before anything is read: who may come in, from where, and with how much."""

import hmac
import json
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException

from racm3.interfaces.server.config import ServerConfig

COOKIE, OPEN = "racm3_key", ("/healthz",)
OWN = ("localhost", "127.0.0.1", "[::1]")
# The page may load nothing from anywhere else, whatever a library puts into it.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:; "
    "frame-ancestors 'self'"
)


class Gate:
    """ASGI middleware. A foreign Host header is refused on loopback, where there is no key:
    otherwise any web page could talk to the server through its visitor's browser."""

    def __init__(self, app: Any, config: ServerConfig) -> None:
        self.app, self.config = app, config
        self.most = int(config.body_mb * 2**20)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        try:
            self.check(scope, headers)
            await self.app(scope, self.bounded(receive), self.marked(scope, send))
        except HTTPException as refusal:
            await refuse(scope, send, refusal)

    def check(self, scope: Any, headers: dict[str, str]) -> None:
        if self.config.loopback:
            self._own_machine(headers)
        if self.config.key and scope["path"] not in OPEN and not self.known(scope, headers):
            raise HTTPException(
                401, "a key is needed: send 'Authorization: Bearer KEY', or open /?key="
            )
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.most:
            raise HTTPException(
                413, f"the body is larger than the {self.config.body_mb:g} MB accepted"
            )

    def _own_machine(self, headers: dict[str, str]) -> None:
        host = headers.get("host", "localhost")
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        if name not in (*OWN, self.config.host):
            raise HTTPException(421, f"this server answers to localhost, not to {host!r}")
        origin = headers.get("origin", "").split("://")[-1]
        if origin and origin != "null" and origin != host:
            raise HTTPException(403, f"pages of {origin!r} may not use this server")

    def known(self, scope: Any, headers: dict[str, str]) -> bool:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        given = (
            headers.get("authorization", "").removeprefix("Bearer "),
            cookie.value if cookie else "",
        )
        return any(map(self.right, given)) or self.in_link(scope)

    def in_link(self, scope: Any) -> bool:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        return self.right(query.get("key", [""])[0])

    def right(self, key: str) -> bool:
        wanted = (self.config.key or "").encode()
        return bool(wanted) and hmac.compare_digest(key.encode(), wanted)

    def bounded(self, receive: Any) -> Any:
        """A body without a length is counted as it comes."""
        seen = 0

        async def counted() -> Any:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most:
                raise HTTPException(413, f"the body is larger than {self.config.body_mb:g} MB")
            return message

        return counted

    def marked(self, scope: Any, send: Any) -> Any:
        """Every page says what it may load; who came with a key in the link gets it as a cookie."""
        came = self.in_link(scope)

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                more = [(b"content-security-policy", POLICY.encode())]
                more.append((b"x-content-type-options", b"nosniff"))
                if came:
                    value = f"{COOKIE}={self.config.key}; HttpOnly; SameSite=Strict; Path=/"
                    more.append((b"set-cookie", value.encode()))
                message["headers"] = [*message.get("headers", []), *more]
            await send(message)

        return with_headers


async def refuse(scope: Any, send: Any, refusal: HTTPException) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps(problem(refusal.status_code, refusal.detail)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if refusal.status_code == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    start = {"type": "http.response.start", "status": refusal.status_code, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def problem(status: int, message: str) -> dict[str, Any]:
    """An error as OpenAI's clients expect it."""
    kind = "invalid_request_error" if status < 500 and status != 429 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": str(status)}}
