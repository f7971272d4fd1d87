"""Everything that is claimed of the sample system, measured by one command, piece by piece."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import racm3
from racm3 import __version__
from racm3.data.sample_world.corpus import scenes
from racm3.data.sample_world.phrasing import carelessly, opened
from racm3.data.sample_world.scenes import Chances, Scene
from racm3.data.sample_world.things import held_out_things, seen_things
from racm3.document import Document, Image
from racm3.evaluation.report import Row, table
from racm3.evaluation.sample_edits import (
    edits,
    in_peoples_words,
    likened,
    much_read,
    repeated,
    sentences,
)
from racm3.evaluation.sample_own import own_pictures, teaching
from racm3.evaluation.sample_parts import choosing, perplexities, recall, reconstruction, unknown
from racm3.evaluation.sample_tasks import (
    captions,
    drawings,
    gaps,
    infills,
    own_drawings,
    paraphrases,
    tellings,
)
from racm3.evaluation.shown import Shown, strip
from racm3.runtime import load_json, save_json, write_whole
from racm3.sharing import divide
from racm3.system import RACM3, Settings
from racm3.tokens.codec import Kind

EVALUATION = 1000
# So many scenes of what is rarer asked.
FEW = 48
# How many of each kind are shown.
FAILURES = 4
Some = Sequence[tuple[Scene, Document]]


class Piece(NamedTuple):
    """Some rows that are asked for at once; one that `shows` is given a list `wrong`, which it adds
    to what was answered wrong."""

    name: str
    ask: Callable[..., list[Row]]
    shows: bool = False


@dataclass(frozen=True)
class Questions:
    """All measures on `count` scenes, which are numbered from the settings' seed and never trained
    on."""

    system: RACM3
    count: int
    settings: Settings

    @property
    def pieces(self) -> list[Piece]:
        return [*self.of_parts(), *self.of_answers(), *self.in_words(), *self.of_own()]

    def of_parts(self) -> list[Piece]:
        """Of tokenizer, retriever and generators by themselves."""
        system, (one, _) = self.system, self.alone_and_both
        return [
            Piece("reconstruction", partial(reconstruction, system, self.draw())),
            Piece("recall", partial(recall, system, self.settings.seed)),
            *(
                Piece(
                    f"{kind.name} perplexity, {name}",
                    partial(perplexities, system, self.baseline, some, kind, name),
                )
                for name, some in (
                    ("scenes of seen things", self.seen),
                    ("scenes of held-out things", self.draw()),
                )
                for kind in (Kind.IMAGE, Kind.TEXT)
            ),
            Piece("choosing", partial(choosing, system, one)),
            Piece("unknown", self.both(unknown, one)),
        ]

    def of_answers(self) -> list[Piece]:
        """Of drawings, captions, gaps and edits in our captions' words."""
        (one, two), dyed = self.alone_and_both, self.dyed
        drawn = {"1 held-out thing(s)": one, "2 held-out thing(s)": two}
        drawn |= {f"{name}, dyed": some for name, some in zip(drawn, dyed, strict=True)}
        few, more = [some[:FEW] for some in (one, two)], self.of_several
        told = {"1 held-out thing": one, "2 held-out things": two}
        told |= {f"{each} held-out things": some for each, some in more.items()}
        return [
            *(
                Piece(f"drawings, {where}", self.both(drawings, some, where=where), shows=True)
                for where, some in drawn.items()
            ),
            Piece("paraphrases", self.both(paraphrases)),
            *(
                piece
                for where, some in told.items()
                for piece in (
                    Piece(f"captions, {where}", self.both(captions, some, where=where), shows=True),
                    Piece(f"gaps, {where}", self.both(gaps, some, where=where)),
                    Piece(f"its own, {where}", self.both(own_drawings, some[:FEW], where=where)),
                )
            ),
            Piece("infills", self.both(infills, self.large_flags)),
            *(Piece(f"edits {n}", self.both(edits, s)) for n, s in enumerate((*few, more[3]))),
            Piece("likened", partial(likened, self.system, few[0], self.settings)),
            *(
                Piece(f"much read {n}", partial(much_read, self.system, some, self.settings))
                for n, some in enumerate(few)
            ),
        ]

    def in_words(self) -> list[Piece]:
        """Of drawings of what people say."""
        one, two, red, both_red = (some[:FEW] for some in (*self.alone_and_both, *self.dyed))
        again, careless = "the same thing twice, {}", "{}, in capitals or without articles"
        asked = [
            *(("{}", some, {}) for some in (one, two, red, both_red)),
            *((again, repeated(some), {}) for some in (two, both_red)),
            ("asked for in a sentence", one, {"around": opened}),
            *((careless, some, {"around": carelessly}) for some in (one, two, red)),
        ]
        return [
            *(
                Piece(
                    f"{n}: {words}",
                    self.both(
                        in_peoples_words, some, words=words.format("in people's words"), **more
                    ),
                )
                for n, (words, some, more) in enumerate(asked)
            ),
            Piece("sentences", self.both(sentences, two)),
            *(
                Piece(f"{each} things", self.both(several, some), shows=True)
                for each, some in self.of_several.items()
            ),
        ]

    def of_own(self) -> list[Piece]:
        """Of what people add to the memory, and of labels that they give."""
        system, settings, count = self.system, self.settings, self.count
        few = min(count, FEW)
        return [
            Piece("teaching", partial(teaching, system, settings, count=min(count, 24))),
            Piece("own pictures", partial(own_pictures, *self.systems, settings, count=few)),
            Piece("tellings", partial(tellings, *self.systems, count=count, seed=settings.seed)),
        ]

    def both(
        self, ask: Callable[..., list[Row]], *some: Some, **more: Any
    ) -> Callable[..., list[Row]]:
        """What asks the system and its baseline."""
        return partial(ask, *self.systems, *some, self.settings, **more)

    @cached_property
    def baseline(self) -> RACM3:
        return self.system.without_retrieval

    @property
    def systems(self) -> tuple[RACM3, RACM3]:
        return self.system, self.baseline

    def draw(self, **how: Any) -> Some:
        """Scenes of held-out things."""
        return scenes(held_out_things(), self.count, seed=EVALUATION + self.settings.seed, **how)

    @property
    def seen(self) -> Some:
        return scenes(seen_things(), self.count, seed=EVALUATION + self.settings.seed)

    @cached_property
    def alone_and_both(self) -> tuple[Some, Some]:
        """Scenes of one thing, and of two."""
        return self.draw(things_each=1), self.draw(things_each=2)

    @cached_property
    def of_several(self) -> dict[int, Some]:
        """A few scenes of three things, and of four."""
        return {each: self.draw(things_each=each)[:FEW] for each in (3, 4)}

    @cached_property
    def dyed(self) -> tuple[Some, Some]:
        """The same in other colours."""
        always = Chances(dyed=1.0, coloured=1.0)
        return tuple(self.draw(things_each=each, chances=always) for each in (1, 2))  # type: ignore[return-value]

    @property
    def large_flags(self) -> Some:
        flags = [thing for thing in held_out_things() if thing.group == "Flags"]
        seed = EVALUATION + self.settings.seed
        whole = scenes(flags, 3 * self.count, seed=seed, things_each=1)
        return [one for one in whole if one[0].size == "large"][: self.count]


def measured(pieces: Sequence[Piece], folder: Path) -> tuple[list[Row], list[Image]]:
    """The rows of all pieces, and the first failures of each as strips for a sheet.

    What was measured is kept in the folder: whoever was stopped goes on, and several processes
    share the work.
    """
    places = {piece: folder / f"{number:02d}.json" for number, piece in enumerate(pieces)}
    found = dict[Piece, tuple[list[Row], list[Image]]]()
    for piece in divide(pieces, places.__getitem__):
        place, wrong = places[piece], list[Shown]()
        picture = place.with_suffix(".png")
        if not place.exists():
            rows = piece.ask(wrong=wrong) if piece.shows else piece.ask()
            if wrong:
                strips = [strip(line).pixels for line in wrong[:FAILURES]]
                write_whole(picture, Image(np.concatenate(strips)).png())
            save_json(place, {"piece": piece.name, "rows": [row.to_json() for row in rows]})
        rows = [Row.of(about) for about in load_json(place)["rows"]]
        found[piece] = rows, [Image.read(picture)] if picture.exists() else []
    every = [found[piece] for piece in pieces]
    return [row for rows, _ in every for row in rows], [one for _, some in every for one in some]


def fingerprint(system: RACM3, count: int, settings: Settings) -> str:
    """What all answers depend on: this package's code, weights, settings, the memory."""
    parts, said = system.parts, blake2b(digest_size=8)
    for path in sorted(Path(racm3.__file__).parent.rglob("*.py")):
        said.update(path.read_bytes())
    models = [model for _, model in sorted(parts.generators.items())]
    for model in (*models, parts.codec.image.vqgan):
        for weights in model.parameters():
            said.update(weights.detach().float().cpu().numpy().tobytes())
    said.update(parts.encoder.texts(["a dog"]).tobytes())
    said.update(parts.encoder.images([Image(np.zeros((8, 8, 3), np.uint8))]).tobytes())
    about = [count, asdict(settings), asdict(parts.retriever), asdict(parts.rephrasing)]
    said.update(json.dumps([system.snapshot, *about], sort_keys=True, default=str).encode())
    return said.hexdigest()


def several(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    settings: Settings,
    wrong: list[Shown],
) -> list[Row]:
    """Scenes of more than two things, in our captions' words and in people's, and with the first
    thing in every place."""
    where = f"{len(some[0][0].things)} held-out thing(s)"
    same = "the same thing in every place, in people's words"
    return [
        *drawings(system, baseline, some, settings, where, wrong),
        *in_peoples_words(system, baseline, some, settings),
        *in_peoples_words(system, baseline, repeated(some), settings, same),
    ]


def as_table(rows: Sequence[Row]) -> str:
    return table(
        [
            {
                "measure": row.measure,
                "on": row.on,
                "RA-CM3 [95% interval]": str(row.racm3),
                "CM3": str(row.cm3) if row.cm3 else "",
                "n": row.racm3.count,
            }
            for row in rows
        ]
    )


def write_report(
    rows: Sequence[Row], folder: Path, *, system: RACM3, command: str, seed: int
) -> None:
    about: dict[str, Any] = {
        "command": command,
        "seed": seed,
        "racm3": __version__,
        "system": system.parts.name,
        "snapshot": system.snapshot,
    }
    save_json(folder / "sample.json", {**about, "rows": [row.to_json() for row in rows]})
    written = f"# The sample system, measured\n\n`{command}`\n\n{as_table(rows)}\n"
    write_whole(folder / "sample.md", written)
