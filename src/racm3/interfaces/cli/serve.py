"""The verb that serves: the page and the API in one process."""

from racm3.interfaces.cli.answer import Using
from racm3.interfaces.server.config import ServerConfig

SMALL = 100_000_000


def serve(*, using: Using = Using(), server: ServerConfig = ServerConfig()) -> None:
    """Serve the page and an OpenAI-compatible API; loopback only unless a key is given.

    Without --memory the system's own memory is copied: what is added or removed on the page is
    forgotten when the server stops.

    Args:
        using: System and memory.
        server: Where to listen, whom to let in, how much to take on.
    """
    import uvicorn

    from racm3.interfaces.server.app import create_app
    from racm3.interfaces.server.service import changeable

    # Requests look up and rank in threads of their own, each of which would wait for all cores.
    system = using.open(small=SMALL)
    if using.memory is None:
        system = changeable(system)
    app = create_app(system, server)
    shown = "[::1]" if server.host == "::1" else server.host
    print(f"racm3: http://{shown}:{server.port}/ (API: /docs; stop with Ctrl-C)", flush=True)
    uvicorn.run(app, host=server.host, port=server.port, log_level="warning")
