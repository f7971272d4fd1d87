"""What counts as a good neighbour: values alone, so that whoever chooses them opens no index."""

from dataclasses import dataclass
from typing import Literal

from racm3.errors import ConfigError, require_pattern

Search = Literal["exact", "indexed"]
# Middles of places, in shares of the width and the height.
Layout = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class RetrieverConfig:
    """What counts as a good neighbour (RA-CM3 §3.2 and the ablations of Table 5).

    Args:
        strategy: clip (default), bm25 (words only), hybrid (both: names that no CLIP has met are
            found, too) or random.
        too_similar: Redundancy threshold; None is plain top-K.
        modality: What a neighbour brings: the whole document, its text or its image.
        two_sided: CM3Leon's variant: half of the neighbours by the picture, half by the text.
        candidates: How many the index is asked for before the walk.
        query_dropout: Share of query tokens or patches forgotten in training.
        query: Which side of a document asks in training: `either` draws one, never both.
        clauses: A regular expression that splits a query's text; every clause asks for itself and
            their neighbours take turns. "" asks with the whole text.
        joins: A regular expression that splits what `clauses` leaves once more, but for what the
            nearest document says itself: `a dog and a cat` are two, `hammer and wrench` is one.
            What its group `named` matches splits only before the name of a document: `cat with hat`
            is two where one is called a hat, `cat with stripes` is one. What `listed` matches
            splits between two names.
        halves: A picture that asks alone is also looked at half by half, the rest painted over; two
            halves, side by side or one above the other, that are both nearer to documents than the
            whole is, and not to the same one, ask each for itself.
        layouts: How several things may stand in a picture: for each way the middles of their
            places, in shares of the width and the height. A picture that asks alone is also looked
            at place by place, each half as wide and high as the picture and laid in its middle; so
            a layout between whose places nothing stands, and all of which are nearer to documents
            than the whole is, asks by each.
        unasked: A regular expression of what a query says that no document is to be found by: how
            something is to look, say, and not what it is. Who asks for nothing else is answered
            without documents. "" asks with all words.
        stems: Words are compared by their English stems, so that `dogs` find `a dog`; an index made
            by `racm3 memory index` compares as it was made.
        phrases: Words are also compared two by two, so that `hourglass not done` is not `hourglass
            done`, and by the name that a query ends with, so that `old house` is neither `houses`
            nor an `old man`. That helps with names; among free captions less is found
            (docs/log.md). An index made by `racm3 memory index` knows single words alone.
        columns: Metadata whose words find documents, too: a catalogue's keywords, say. Only the
            search sees them; a memory that has no such column is searched by its texts alone. An
            index has to be made with them (`racm3 memory index --columns`).
        aliases: Metadata that lists other names of a document, separated by commas: each of them
            finds it as a whole, `fire truck` neither trucks nor fires. To an index they are columns
            as any other.
        resident_gb: Vectors of a memory up to this size stay in RAM between searches; those of a
            larger one are read from disk, block by block, for every batch of queries.
        search: exact looks at every document, indexed asks what `racm3 memory index` made.
        probes: Partitions of the index that are looked into: more find more, and take longer.
        refine: So many times the candidates are scored exactly before the best are kept.
    """

    strategy: Literal["clip", "bm25", "hybrid", "random"] = "clip"
    too_similar: float | None = 0.9
    modality: Literal["document", "text", "image"] = "document"
    two_sided: bool = False
    candidates: int = 64
    query_dropout: float = 0.2
    query: Literal["either", "text", "image"] = "either"
    clauses: str = ""
    joins: str = ""
    halves: bool = False
    layouts: tuple[Layout, ...] = ()
    unasked: str = ""
    stems: bool = True
    phrases: bool = False
    columns: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    resident_gb: float = 4.0
    search: Search = "exact"
    probes: int = 32
    refine: int = 10

    @property
    def metadata(self) -> tuple[str, ...]:
        """All whose words find documents."""
        return (*self.columns, *self.aliases)

    @property
    def looks_closer(self) -> bool:
        """Whether a picture is also looked at in parts."""
        return self.halves or bool(self.layouts)

    def __post_init__(self) -> None:
        if not 0 <= self.query_dropout < 1:
            raise ConfigError(f"query_dropout {self.query_dropout} does not lie in [0, 1)")
        if min(self.candidates, self.probes, self.refine) < 1:
            raise ConfigError("candidates, probes and refine must be at least 1")
        if any(not 0 <= share <= 1 for one in self.layouts for at in one for share in at):
            raise ConfigError(f"layouts {self.layouts} leave the picture: shares lie in [0, 1]")
        for name in ("clauses", "joins", "unasked"):
            require_pattern(name, getattr(self, name))
