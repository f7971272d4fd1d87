"""The Memory tab: search it as a picture wall, see neighbours, add by dropping files, remove."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, no_type_check

import gradio as gr
import numpy as np

from racm3.document import Document, Image
from racm3.errors import Racm3Error
from racm3.interfaces.page import parts, shown
from racm3.interfaces.page.parts import NEWEST, drop, gallery, kept
from racm3.interfaces.page.running import steps
from racm3.interfaces.server.service import Service
from racm3.retrieval.entry import Entry
from racm3.retrieval.memory import MemoryStore
from racm3.system import Consulted


def build(service: Service, draws_from: gr.Dropdown) -> None:
    """`draws_from` is the Draw tab's list of snapshots, which every change makes longer."""
    state = gr.Markdown(summary(service), elem_id="memory-state")
    with gr.Row():
        with gr.Column(scale=1):
            text = gr.Textbox(label="Search by words", elem_id="memory-text")
            picture = drop("and by a picture", height=180)
            where = gr.Textbox(label="Only where (SQL over metadata)",
                               placeholder="licence = 'cc-by'")  # fmt: skip
            count = gr.Slider(1, 60, 24, step=1, label="How many")
            snapshot = parts.states(service.snapshots(), name="memory-snapshot")
            go = gr.Button("Search", variant="primary", elem_id="memory-go")
            with gr.Accordion("Add documents", open=False):
                files = parts.files("Pictures", name="memory-files")
                words = gr.Textbox(label="Words that belong to them (file names otherwise)",
                                   elem_id="memory-words")  # fmt: skip
                add, stop = parts.buttons("Add", "memory-add")
        with gr.Column(scale=2):
            wall = gallery(
                "Nearest first: choose one to see its neighbours",
                name="memory-wall",
                columns=6,
                choosing=True,
            )
            chosen = gr.Markdown("Nothing is chosen.", elem_id="memory-chosen")
            near = gallery("Its neighbours", name="memory-near", columns=6, choosing=True)
            remove = gr.Button("Remove the chosen document for good", variant="stop",
                               elem_id="memory-remove")  # fmt: skip
    ids, selected = gr.State([]), gr.State(None)
    asked = [text, picture, where, count, snapshot]
    changed = [state, snapshot, draws_from]
    quiet: dict[str, Any] = {"api_visibility": "private"}
    find = partial(search, service)
    go.click(find, asked, [wall, ids], **quiet)
    text.submit(find, asked, [wall, ids], **quiet)

    # Gradio looks for the event in a function's own signature.
    def select(ids_: list[int], state_: int, event: gr.SelectData) -> list[Any]:
        return choose(service, ids_[event.index], state_)

    wall.select(select, [ids, snapshot], [chosen, near, selected], **quiet)
    snapshot.input(find, asked, [wall, ids], **quiet)
    begun = add.click(partial(add_files, service), [files, words], [*changed, files], **quiet)
    stop.click(None, None, None, cancels=[begun])
    remove.click(partial(forget, service), [selected], [*changed, chosen, selected], **quiet).then(
        find, asked, [wall, ids], **quiet
    )


def summary(service: Service) -> str:
    shelf = service.system.parts.shelf
    if isinstance(shelf, MemoryStore):
        found = shelf.stats()
        columns = ", ".join(found["columns"]) or "none"
        return (
            f"**{found['documents']:,} documents**, snapshot {found['snapshot']} "
            f"({len(found['snapshots'])} kept), metadata columns: {columns}. Encoded by "
            f"{found['encoder']}."
        )
    return f"{service.system.snapshot}. It cannot be changed here."


def now(service: Service) -> list[Any]:
    """What the page says of the memory after a change, in its three places."""
    states = kept(service.snapshots())
    return [summary(service), *(gr.Dropdown(states, value=NEWEST) for _ in range(2))]


def wall_of(found: Sequence[Consulted]) -> tuple[list[shown.Tile], list[int | None]]:
    """The first picture of each document, and whose it is."""
    pictured = [one for one in found if one.document.images]
    tiles = [
        (shown.large(one.document.images[0], side=128), f"{one.title} ({one.score:.2f})")
        for one in pictured
    ]
    return tiles, [one.id for one in pictured]


def search(
    service: Service,
    text: str,
    pixels: np.ndarray | None,
    where: str,
    count: float,
    snapshot: int,
) -> list[Any]:
    asked: list[Any] = [text] if text.strip() else []
    asked += [shown.opened(pixels)] if pixels is not None else []
    try:
        found = service.search(
            Document.of(*asked), int(count), where.strip() or None, service.at(snapshot or None)
        )
    except Racm3Error as error:
        raise gr.Error(str(error)) from error
    return list(wall_of(found))


def choose(service: Service, id_: int, snapshot: int) -> list[Any]:
    """A document's own words, and who its neighbours are."""
    document, system = service.document(id_, snapshot or None), service.at(snapshot or None)
    found = [one for one in service.search(document, 13, None, system) if one.id != id_]
    return [f"**{document.text}** (document {id_})", wall_of(found[:12])[0], id_]


@no_type_check
def add_files(service: Service, paths: Sequence[str] | None, words: str) -> Iterator[list[Any]]:
    """How far encoding has come, then what the memory is; stopped, it adds nothing."""
    try:
        entries = [
            Entry(Document.of(words.strip() or Path(path).stem, Image.read(path)), source="page")
            for path in paths or []
        ]
        if not entries:
            raise gr.Error("drop at least one picture first")
        for told in steps(lambda watch: service.add(entries, watch)):
            if told and isinstance(told[0], list):
                said = f"{told[0][0]} of {len(entries)} pictures encoded ..."
                yield [said, gr.skip(), gr.skip(), gr.skip()]
    except Racm3Error as error:
        raise gr.Error(str(error)) from error
    yield [*now(service), None]


def forget(service: Service, id_: int | None) -> list[Any]:
    if id_ is None:
        raise gr.Error("choose a document on the wall first")
    try:
        service.remove([id_])
    except Racm3Error as error:
        raise gr.Error(str(error)) from error
    return [*now(service), f"Document {id_} is gone for good.", None]
