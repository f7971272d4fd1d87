"""Verbs that look into an external memory."""

import json as json_
from pathlib import Path

from racm3.document import Document, Image
from racm3.errors import MemoryStoreError
from racm3.interfaces.cli.answer import require_png
from racm3.interfaces.cli.memory import open_encoder
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import require_comparable
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.retriever import Retriever
from racm3.runtime import dice

# Who searches by a picture wants what is most like it.
EVERYTHING = RetrieverConfig(too_similar=None)
MANY = 8  # snapshots are not listed one by one


def search(
    memory: Path,
    text: str,
    *,
    picture: Path | None = None,
    count: int = 5,
    where: str | None = None,
    clip: str = "sample",
    snapshot: int | None = None,
    retriever: RetrieverConfig = EVERYTHING,
    json: bool = False,
) -> None:
    """Find the nearest documents to a text, a picture, or both.

    Near-copies are found, too; `--retriever.too_similar 0.9` skips them as training does.

    Args:
        memory: The memory's folder.
        text: Words to search by; "" searches by the picture alone.
        picture: A picture to search by.
        count: How many to find.
        where: A filter that is applied before the search.
        clip: The CLIP that the memory was built with.
        snapshot: Search an earlier state.
        retriever: How to search: `--retriever.strategy hybrid` also by words.
        json: Print JSON.
    """
    store = MemoryStore.open(memory, snapshot=snapshot)
    parts = [text] if text.strip() else []
    query = Document.of(*parts, *([Image.read(picture)] if picture else [])).require_parts()
    if unknown := set(retriever.metadata) - set(store.columns):
        raise MemoryStoreError(
            f"the metadata has no {', '.join(sorted(unknown))}; its columns are "
            f"{', '.join(store.columns) or 'none'}"
        )
    encoder = open_encoder(clip)
    require_comparable(store.about, encoder)
    asked = Retriever(encoder, store, retriever, where=where)
    found = asked.neighbours([query], count, rng=dice(0))[0]
    documents = store.documents([neighbour.id for neighbour in found])
    rows = [
        {"id": n.id, "score": round(n.score, 4), "text": d.text}
        for n, d in zip(found, documents, strict=True)
    ]
    if json:
        print(json_.dumps({"snapshot": store.snapshot, "hits": rows}, ensure_ascii=False))
    else:
        for row in rows:
            print(f"{row['id']}\t{row['score']:.3f}\t{row['text']}")


def show(memory: Path, id: int, *, out: Path | None = None) -> None:
    """Show one document: text, source, metadata; its first picture can be saved.

    Args:
        memory: The memory's folder.
        id: Which document.
        out: Where the picture goes (PNG).
    """
    if out is not None:
        require_png(out)
    entry = MemoryStore.open(memory).entries([id])[0]
    about = {"id": id, "text": entry.document.text, "source": entry.source, **entry.metadata}
    pictures = [Image.decode(one.encoded, whole=True) for one in entry.document.images]
    about["pictures"] = ", ".join(f"{one.width}x{one.height}" for one in pictures)
    for key, value in about.items():
        print(f"{key}\t{value}")
    if out is not None:
        if not pictures:
            raise MemoryStoreError(f"document {id} has no picture to save")
        out.write_bytes(pictures[0].png())


def stats(memory: Path, *, json: bool = False) -> None:
    """Say how many documents a memory holds, who encoded them, and which snapshots there are.

    Args:
        memory: The memory's folder.
        json: Print JSON.
    """
    found = MemoryStore.open(memory).stats()
    if json:
        print(json_.dumps(found))
        return
    kept = found["snapshots"]
    if len(kept) > MANY:
        found["snapshots"] = f"{len(kept):,} from {kept[0]} to {kept[-1]}"
    print("\n".join(f"{k}\t{v}" for k, v in found.items()))
