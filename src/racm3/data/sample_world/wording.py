"""Things in the words that people have for their own: the Quillo badge, my cat Mimi, ACME."""

from dataclasses import dataclass

import numpy as np

from racm3.data.sample_world.things import SIZES, Thing
from racm3.document import Document

ARTICLES = ("a", "the", "my", "our")
# What a file name or a caption says of a picture.
FORMS = (
    "{noun}",
    "{Noun}",
    "{Noun}.",
    "{name}",
    "{Name}",
    "a picture of {noun}",
    "This is {noun}.",
    "{noun} ({more})",
    "{Name}, {more}",
)


@dataclass(frozen=True, slots=True, eq=False)
class Worded(Thing):
    """A thing with an article and a document text of its own."""

    article: str
    wording: str

    @property
    def noun(self) -> str:
        return f"{self.article} {self.name}"

    @property
    def text(self) -> str:
        return self.wording

    def document(self) -> Document:
        """As people add what is theirs: with one picture."""
        return Document.of(self.text, self.on_white(max(SIZES.values())))


def worded(thing: Thing, rng: np.random.Generator) -> Worded:
    """The same thing with capitals, an article and a document text as people might choose them."""
    words, said = thing.name.split(), rng.random()
    if said < 0.25:
        words = [word[:1].upper() + word[1:] for word in words]
    elif said < 0.5:
        words[-1] = words[-1][:1].upper() + words[-1][1:]
    elif said < 0.6:
        words = [word.upper() for word in words]
    elif said < 0.7:
        words[0] = words[0].upper()
    name, article = " ".join(words), str(rng.choice(ARTICLES))
    if article == "a":
        article = thing.noun.split()[0]
    noun = f"{article} {name}"
    wording = str(rng.choice(FORMS)).format(
        name=name,
        Name=name[:1].upper() + name[1:],
        noun=noun,
        Noun=noun[:1].upper() + noun[1:],
        more=thing.keywords[0] if thing.keywords else thing.group.lower(),
    )
    return Worded(name, thing.keywords, thing.group, thing.held_out, thing.rgba, article, wording)
