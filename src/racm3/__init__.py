"""racm3: a multimodal language model that looks things up before it draws or describes.

`RACM3.open("sample")` opens the shipped system; everything heavy is imported on first use.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["RACM3", "Document", "Image", "Text"]

_HOMES = {
    "RACM3": "racm3.system",
    "Document": "racm3.document",
    "Image": "racm3.document",
    "Text": "racm3.document",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'racm3' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
