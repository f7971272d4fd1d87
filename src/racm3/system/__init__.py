"""The assembled system: tokenizers, retriever and generator behind one Python API."""

from racm3.system.racm3 import RACM3
from racm3.system.results import Classification, Completion, Consulted, Drawing, Settings, Writing

__all__ = [
    "RACM3",
    "Classification",
    "Completion",
    "Consulted",
    "Drawing",
    "Settings",
    "Writing",
]
