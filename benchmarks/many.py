"""Answers a second for a whole source: one after the other, in several threads, stepped together.

python benchmarks/many.py
"""

from collections.abc import Callable
from functools import partial

from common import arguments, seconds, show

from racm3 import RACM3
from racm3.data.sample_world.corpus import scenes
from racm3.data.sample_world.things import held_out_things
from racm3.document import Document
from racm3.system.cores import take_cores
from racm3.system.many import each
from racm3.system.results import Answer

WAYS = {
    "one after the other": (1, 1),
    "two threads": (1, 2),
    "three together": (3, 1),
    "three together in each of two threads": (3, 2),
}


def main() -> None:
    chosen = arguments("answers for a whole source", threads=1, count=24, repeats=5)
    system = RACM3.open("sample", device="cpu")
    take_cores(system, chosen.threads, small=0)
    some = [one for _, one in scenes(held_out_things(), chosen.count, seed=3, things_each=1)]
    rows: list[dict[str, object]] = []
    for name, answer in (("draw", draw), ("caption", caption)):
        runs = {way: partial(all_of, system, some, answer, *how) for way, how in WAYS.items()}
        taken = seconds(runs, repeats=chosen.repeats)
        alone = taken["one after the other"]
        rows += [
            {
                "verb": name,
                "how": way,
                "answers/s": round(chosen.count / taken[way], 2),
                "ratio": round(alone / taken[way], 2),
            }
            for way in WAYS
        ]
    show(rows, chosen)


def draw(system: RACM3, document: Document) -> Answer:
    return system.draw(document.text)


def caption(system: RACM3, document: Document) -> Answer:
    return system.caption(document.images[0])


def all_of(
    system: RACM3,
    some: list[Document],
    answer: Callable[[RACM3, Document], Answer],
    at_once: int,
    lanes: int,
) -> None:
    for _ in each(system, some, answer, at_once=at_once, lanes=lanes):
        pass


if __name__ == "__main__":
    main()
