"""Drawings of every caption of a source, or captions of its pictures: a run that can be stopped."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from racm3.data.ahead import Tolerance, read_ahead
from racm3.errors import ConfigError, GenerationError
from racm3.retrieval.entry import Entry, Readable
from racm3.runtime import hold_to, progress, write_whole
from racm3.system import RACM3, Settings
from racm3.system.many import each
from racm3.system.results import Answer

ANSWERS, RUN = "answers.jsonl", "run.json"
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Answers for every document of a source, into a folder.

    Answer n has the seed `settings.seed + n` and is what the system alone would say with it, up to
    the rounding of larger matrix products where `at_once` is more than 1.

    Raises:
        ConfigError: The folder has answers of another run or another source.

    Args:
        system: Answers.
        folder: Gets `answers.jsonl`, a line an answer with everything it was made with, in the
            order of the source; and pictures as `000000.png`.
        settings: How to answer.
        at_once: Answers that are stepped together.
        lanes: Threads that step.
        tolerance: How many documents may be left out that cannot be answered.
    """

    system: RACM3
    folder: Path
    settings: Settings
    at_once: int = 1
    lanes: int = 1
    tolerance: Tolerance

    def draw(self, found: Iterable[Readable]) -> int:
        """Draw the first caption of every document that has words; how many answers there are."""
        return self._run("draw", iter(found), lambda one: bool(one.said()), self._drawn)

    def caption(self, found: Iterable[Readable]) -> int:
        """Describe every document's first picture; how many answers there are."""
        return self._run("caption", iter(found), lambda one: bool(one.document.images), self._said)

    def _drawn(self, system: RACM3, number: int, entry: Entry) -> Row:
        drawing = system.draw(entry.said()[0], self._settings(number))
        file = f"{number:06d}.png"
        drawing.save(self.folder / file)
        return {"file": file, "caption": drawing.prompt, **_about(number, entry, drawing)}

    def _said(self, system: RACM3, number: int, entry: Entry) -> Row:
        said = system.caption(entry.document.images[0], self._settings(number))
        named = {"caption": said.text, "references": entry.said()}
        return {**named, **_about(number, entry, said)}

    def _settings(self, number: int) -> Settings:
        return replace(self.settings, seed=self.settings.seed + number)

    def _run(
        self,
        verb: str,
        found: Iterator[Readable],
        suits: Callable[[Entry], bool],
        answer: Callable[[RACM3, int, Entry], Row],
    ) -> int:
        system, place = self.system, self.folder / ANSWERS
        by = {"system": system.parts.name, "generator": system.generator}
        how = {"memory": system.snapshot, "at_once": self.at_once, **asdict(self.settings)}
        hold_to(self.folder / RUN, {"verb": verb, **by, **how})
        known = self._known(place)
        first = known[-1]["number"] + 1 if known else 0
        first -= first % self.at_once
        known = [row for row in known if row["number"] < first]
        write_whole(place, "".join(map(_line, known)))

        def one(system: RACM3, asked: tuple[int, Entry]) -> Row | tuple[str, GenerationError]:
            try:
                return answer(system, *asked)
            except GenerationError as error:
                return asked[1].source, error

        self._pass_over(found, suits, {row["number"]: row["of"] for row in known}, first)
        entries = (entry for _, entry in read_ahead(found, self.tolerance) if suits(entry))
        rest = enumerate(entries, start=first)
        groups = each(system, rest, one, at_once=self.at_once, lanes=self.lanes)
        many = len(known)
        with place.open("a", encoding="utf-8") as lines:
            for said in progress((one for group in groups for one in group), label=verb):
                if isinstance(said, tuple):
                    self.tolerance.refuse(*said)
                    continue
                lines.write(_line(said))
                lines.flush()
                many += 1
        return many

    def _pass_over(
        self,
        found: Iterator[Readable],
        suits: Callable[[Entry], bool],
        answered: Mapping[int, str],
        first: int,
    ) -> None:
        """Go on behind the first documents of a source, to answer `first`: those that were answered
        before, which are not opened again, and those that had no answer."""
        number = 0
        while number < first and (one := next(found, None)) is not None:
            if answered.get(number) != one.source:
                if not any(suits(entry) for _, entry in read_ahead([one], self.tolerance)):
                    continue
                if number in answered:
                    raise ConfigError(
                        f"answer {number} in this folder is of {answered[number]}, but the source "
                        f"has {one.source} there now; choose another folder"
                    )
            number += 1

    def _known(self, place: Path) -> list[Row]:
        """What was answered before; a line that was being written then is no answer."""
        if not place.exists():
            return []
        whole, _, _ = place.read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.split("\n") if line]


def _about(number: int, entry: Entry, answer: Answer) -> Row:
    return {"number": number, "of": entry.source, **answer.to_json()}


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, default=str) + "\n"
