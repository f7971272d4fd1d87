"""Where the server listens, whom it lets in, and how much it takes on."""

import ipaddress
from dataclasses import dataclass

from racm3.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """How the server behaves.

    Args:
        host: The address to listen on; anything but this machine's own asks for a key.
        port: The port; 0 takes a free one.
        key: The API key that every request must carry; needed unless the host is loopback.
        queue: At most this many requests at once; further ones are told to come back (429).
        rows: At most this many candidates (times guidance streams) in one step of the generator; 0
            takes 12 for each lane where an operation takes one core, else 64.
        lanes: Threads that step the generator, each its own answers; 0 takes two where an operation
            takes one of several cores, else one.
        body_mb: Largest body of a request.
        seconds: Longest time for one answer.
        fetch: Hosts that picture URLs may be fetched from; none unless named.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    key: str | None = None
    queue: int = 32
    rows: int = 0
    lanes: int = 0
    body_mb: float = 16
    seconds: float = 300
    fetch: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.queue < 1 or self.body_mb <= 0 or self.seconds <= 0:
            raise ConfigError("queue, body_mb and seconds must be above zero")
        if self.rows < 0 or self.lanes < 0:
            raise ConfigError("rows and lanes must be 0 (as many as suit this machine) or more")
        if not self.loopback and not self.key:
            raise ConfigError(
                f"{self.host} can be reached from other machines: give a key (--server.key ...), "
                "or listen on 127.0.0.1"
            )

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
