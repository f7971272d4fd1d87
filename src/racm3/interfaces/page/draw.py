"""The Draw tab: candidates as they are decoded, beside what was consulted and what it did."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, no_type_check

import gradio as gr
import numpy as np

from racm3.document import Document
from racm3.errors import Racm3Error
from racm3.evaluation.copying import copied
from racm3.interfaces.page import shown
from racm3.interfaces.page.parts import (
    SLOTS,
    controls,
    counts,
    drop,
    gallery,
    saved,
    saving,
    states,
)
from racm3.interfaces.page.running import steps
from racm3.interfaces.server.service import Service
from racm3.system import RACM3, Consulted
from racm3.system.results import Drawing

EXAMPLES = (
    "the flag of Uganda on a blue background",
    "an avocado on a pink background",
    "a small guitar at the left on a white background",
    "the flag of Bhutan left of a guitar on a green background",
)


def build(service: Service) -> list[Any]:
    """The tab's fields, which a link can fill in."""
    base = service.system.parts.settings
    with gr.Row():
        caption = gr.Textbox(EXAMPLES[0], label="Caption", scale=4, elem_id="draw-caption")
        go = gr.Button("Draw", variant="primary", elem_id="draw-go", min_width=100)
        stop = gr.Button("Stop", elem_id="draw-stop", min_width=80)
    gr.Examples([[one] for one in EXAMPLES], [caption], label="Things to try")
    settings = controls(base)
    state = states(service.snapshots(), name="draw-state")
    with gr.Row(equal_height=False):
        with gr.Column(scale=2):
            drawn = gallery("Drawn from what was looked up", name="draw-result")
            plain = gallery("Drawn without looking anything up, same seed", name="draw-plain")
            before = gallery("The drawing before this one")
        with gr.Column(scale=2):
            consulted = gallery("Consulted", name="draw-consulted")
            documents = counts(base)
            weights, own = slots()
            heat = gallery(
                "Where each document mattered (red helped, blue hindered)", name="draw-heat"
            )
    with gr.Row():
        save = saving("PNG", "draw")
        link = gr.Textbox(label="A link that draws this again", elem_id="draw-link",
                          buttons=["copy"], interactive=False)  # fmt: skip
    with gr.Accordion("Provenance", open=False):
        about = gr.Code(language="json", label="Provenance")
    last = gr.State([])
    given = [caption, *settings, documents, state, *weights, *own, last]
    out = [drawn, plain, before, consulted, heat, save, link, about, last]
    begun: list[Any] = [
        trigger(partial(draw, service), given, out, api_visibility="private")
        for trigger in (go.click, caption.submit)
    ]
    stop.click(None, None, None, cancels=begun)
    return [caption, *settings, documents, state]


def slots() -> tuple[list[Any], list[Any]]:
    """For each consulted document: how much it counts, and a picture to read instead."""
    weights, own = [], []
    with gr.Row():
        for number in range(1, SLOTS + 1):
            with gr.Column(min_width=140):
                label = f"Document {number} counts (0: off)"
                weights.append(gr.Slider(0, 3, 1, step=0.25, label=label))
                own.append(drop(f"Read this instead of {number}", height=140))
    return weights, own


# Gradio asks whether this is a generator; the wrapper of checked tests would hide it.
@no_type_check
def draw(
    service: Service,
    caption: str,
    seed: float,
    candidates: float,
    temperature: float,
    guidance: float,
    documents: str,
    state: int,
    *rest: Any,
) -> Iterator[list[Any]]:
    """The tab's outputs again and again, as far as the drawing has come."""
    weights, own, last = rest[:SLOTS], rest[SLOTS : 2 * SLOTS], rest[-1]
    settings = shown.settings(
        service.system.parts.settings, seed, candidates, temperature, guidance, documents
    )
    try:
        system = service.at(state or None)
        system.voice.text(caption)
        words = Document.of(system.library.rephrased(caption, settings))
        read = replaced(system.consult(words, settings), own)
        settings = shown.weighed(settings, weights, len(read))
        known = [[], [], last, shown.sources(read), [], saved(None), "", "", last]
        yield known
        unread = replace(settings, documents=0, guidance=replace(settings.guidance, documents=()))
        for now in steps(lambda watch: system.draw(caption, unread if not read else settings,
                                                   like=read, watch=watch)):  # fmt: skip
            if isinstance(now, Drawing):
                done = now
            elif len(now[0]) % system.codec.image.grid.columns == 0:
                yield [shown.tiles(partly(system, now)), *known[1:]]
        made = shown.tiles(done.images, notes(system, done))
        heat = shown.heat(done, system.influences(done)) if read else []
        alone = service.systems.get("cm3", system).draw(caption, unread)
    except Racm3Error as error:
        raise gr.Error(str(error)) from error
    yield [
        made, shown.tiles(alone.images), last, shown.sources(done.consulted), heat,
        saved(shown.download(done)), shown.link("draw", done), shown.provenance(done), made,
    ]  # fmt: skip


def replaced(found: tuple[Consulted, ...], own: tuple[np.ndarray | None, ...]) -> list[Consulted]:
    """The user's own pictures in place of the documents that they stand for."""
    read = list(found)
    for number, pixels in enumerate(own):
        if pixels is not None:
            mine = Consulted(None, None, Document.of(shown.opened(pixels)))
            read[number : number + 1] = [mine]
    return read


def notes(system: RACM3, drawing: Drawing) -> list[str]:
    """How well CLIP thinks each candidate fits, and how much of it was copied."""
    read = [image for one in drawing.consulted for image in one.document.images]
    return [
        (f"{drawing.revised_prompt}: " if drawing.revised_prompt else "")
        + f"fits {score:.2f}"
        + (f", {copied(system.codec.image, image, read)[1]:.0%} copied" if read else "")
        for image, score in zip(drawing.images, drawing.scores, strict=True)
    ]


def partly(system: RACM3, said: list[list[int]]) -> list[Any]:
    return [system.voice.unfinished(ids) for ids in said]
