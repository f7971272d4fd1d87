"""Pictures as requests carry them: base64, data: URLs, or fetched where that is allowed."""

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import urlsplit

from racm3.document import Image
from racm3.errors import DocumentError
from racm3.interfaces.server.config import ServerConfig

MOST_FETCHED = 16 * 2**20


def to_base64(picture: Image) -> str:
    return base64.b64encode(picture.png()).decode()


def to_url(picture: Image) -> str:
    return f"data:image/png;base64,{to_base64(picture)}"


@dataclass(frozen=True)
class Pictures:
    """Opens what a request names; a path on this machine is never one of them."""

    config: ServerConfig

    def open(self, source: str, *, whole: bool = False) -> Image:
        if source.startswith(("http://", "https://")):
            return Image.decode(self.fetch(source), name=source, whole=whole)
        written = (
            source.split(",", 1)[1] if source.startswith("data:") and "," in source else source
        )
        try:
            data = base64.b64decode(written, validate=True)
        except (binascii.Error, ValueError) as error:
            raise DocumentError(
                f"a picture is neither base64 nor a data: URL ({error}); send "
                "data:image/png;base64,..."
            ) from error
        return Image.decode(data, whole=whole)

    def fetch(self, url: str) -> bytes:
        host = urlsplit(url).hostname or ""
        if host not in self.config.fetch:
            raise DocumentError(
                f"pictures are not fetched from {host!r}; send the picture itself as a data: URL, "
                f"or start the server with --server.fetch '[\"{host}\"]'"
            )
        import httpx

        try:
            with httpx.stream("GET", url, timeout=10, follow_redirects=False) as response:
                response.raise_for_status()
                data = b""
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > MOST_FETCHED:
                        raise DocumentError(f"{url} is larger than {MOST_FETCHED:,} bytes")
        except httpx.HTTPError as error:
            raise DocumentError(f"{url} cannot be fetched ({error})") from error
        return data
