"""The command line: it parses, calls one method of the Python API, and renders the answer."""

from racm3.interfaces.cli.main import main

__all__ = ["main"]
