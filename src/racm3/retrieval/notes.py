"""What a memory's folder notes beside its table: what was made of it, and what was removed."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np

from racm3.runtime import load_json, save_json


class Notes:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remember_derived(self, place: Path) -> None:
        """Note training material that was made of this memory, so that removal reaches it.

        What lies beside the memory is found beside it, too, when both have moved.
        """
        place = place.resolve()
        beside = place.parent == self.folder.resolve().parent
        name = f"../{place.name}" if beside else str(place)
        self._write("derived", {*self._read("derived"), name})

    def derived(self) -> list[Path]:
        return [(self.folder.resolve() / name).resolve() for name in self._read("derived")]

    def remember_removed(self, sources: Iterable[str]) -> None:
        """Note sources whose documents are to stay away when they are read again.

        Digests are kept: no name of what was removed can be read from them.
        """
        self.keep_away(digest(source) for source in sources if source)

    def keep_away(self, digests: Iterable[str]) -> None:
        """Note digests of removed sources that another memory kept."""
        self._write("removed", {*self._read("removed"), *digests})

    def removed(self) -> frozenset[str]:
        """The digests of sources that were removed."""
        return frozenset(self._read("removed"))

    def _read(self, name: str) -> list[str]:
        path = self.folder / f"{name}.json"
        return list(load_json(path)) if path.exists() else []

    def _write(self, name: str, lines: set[str]) -> None:
        if lines:
            save_json(self.folder / f"{name}.json", sorted(lines))


class Known:
    """Sources that are known, by sixteen bytes of each: names of millions do not stay in RAM."""

    def __init__(self, sources: Iterable[str]) -> None:
        digests = (bytes.fromhex(digest(source)) for source in sources)
        self._digests = np.sort(np.fromiter(digests, "S16"))

    def __contains__(self, source: str) -> bool:
        asked = np.array(bytes.fromhex(digest(source)), "S16")
        at = np.searchsorted(self._digests, asked)
        return bool(at < len(self._digests) and self._digests[at] == asked)


def digest(source: str) -> str:
    return sha256(source.encode()).hexdigest()[:32]
