"""The tabs that begin with a picture or a document: describe, infill, classify, compose."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, no_type_check

import gradio as gr
import numpy as np
from PIL import Image as PIL

from racm3.document import Document, Image
from racm3.errors import GenerationError, Racm3Error
from racm3.interfaces.page import parts, shown
from racm3.interfaces.page.parts import buttons, controls, drop, gallery, saved, saving
from racm3.interfaces.page.running import steps
from racm3.interfaces.server.service import Service
from racm3.system.results import Drawing
from racm3.tokens.markup import to_html


def describe(service: Service) -> None:
    with gr.Row():
        with gr.Column():
            picture = drop("Picture", name="describe-in")
            settings = controls(service.system.parts.settings.saying)
            go, stop = buttons("Describe", "describe")
        with gr.Column():
            texts = gr.Dataframe(headers=["text", "perplexity"], label="Likeliest first",
                                 elem_id="describe-out", interactive=False, wrap=True,
                                 column_widths=["75%", "25%"])  # fmt: skip
            consulted = gallery("Consulted")
            mattered = [
                gr.HighlightedText(
                    label=f"What document {n} did to each word (red helped)", color_map={"1": "red"}
                )
                for n in (1, 2)
            ]
            save = saving("Page", "describe")
    begun = go.click(
        partial(_describe, service),
        [picture, *settings],
        [texts, consulted, *mattered, save],
        api_visibility="private",
    )
    stop.click(None, None, None, cancels=[begun])


# Gradio asks whether these are generators; the wrappers of checked tests would hide it.
@no_type_check
def _describe(service: Service, pixels: np.ndarray | None, *chosen: float) -> Iterator[list[Any]]:
    system = service.systems["racm3"]
    text = system.codec.vocabulary.text
    try:
        settings = shown.settings(system.parts.settings.saying, *chosen)
        picture = shown.opened(pixels)
        for now in steps(lambda watch: system.caption(picture, settings, watch=watch)):
            if isinstance(now, list):
                said = [[system.codec.text.decode([i for i in ids if i in text]), None]
                        for ids in now]  # fmt: skip
                yield [said, [], None, None, saved(None)]
            else:
                done = now
        rows = [[t, round(p, 2)] for t, p in zip(done.texts, done.perplexities, strict=True)]
        told = [*shown.words(system.influences(done)), None, None][:2]
    except Racm3Error as error:
        raise gr.Error(str(error)) from error
    yield [rows, shown.sources(done.consulted), *told, saved(shown.page(done, picture))]


def infill(service: Service) -> None:
    with gr.Row():
        with gr.Column():
            editor = gr.ImageEditor(
                label="Paint over what should be drawn anew", type="numpy", height=420,
                elem_id="infill-in", sources=["upload", "clipboard"], transforms=[],
                brush=gr.Brush(colors=["#ff00ff"], color_mode="fixed", default_size=24),
            )  # fmt: skip
            caption = gr.Textbox(label="What the whole picture shows (may be empty)",
                                 elem_id="infill-caption")  # fmt: skip
            examples = parts.files("Pictures to draw it after (optional; this is editing)")
            settings = controls(service.system.parts.settings)
            go, stop = buttons("Infill", "infill")
        with gr.Column():
            filled = gallery("Filled in", name="infill-out")
            consulted = gallery("Consulted")
            heat = gallery("Where each document mattered")
            save = saving("PNG", "infill")
    begun = go.click(
        partial(_infill, service),
        [editor, caption, examples, *settings],
        [filled, consulted, heat, save],
        api_visibility="private",
    )
    stop.click(None, None, None, cancels=[begun])


@no_type_check
def _infill(
    service: Service,
    painted: dict[str, Any] | None,
    caption: str,
    examples: Sequence[str] | None,
    *chosen: float,
) -> Iterator[list[Any]]:
    system = service.systems["racm3"]
    try:
        if not painted or painted.get("background") is None:
            raise GenerationError("a picture is missing: drop one first, then paint over a part")
        picture = shown.opened(painted["background"])
        mask = strokes(painted["layers"], picture)
        settings = shown.settings(system.parts.settings, *chosen)
        like = [Image.read(path) for path in examples or []]
        yield [shown.tiles([picture]), [], [], saved(None)]
        done = None
        for now in steps(lambda watch: system.infill(picture, mask, caption, settings,
                                                     documents=like, watch=watch)):  # fmt: skip
            done = now if isinstance(now, Drawing) else done
        assert isinstance(done, Drawing)
        heat = shown.heat(done, system.influences(done))
    except Racm3Error as error:
        raise gr.Error(str(error)) from error
    yield [
        shown.tiles(done.images), shown.sources(done.consulted), heat, saved(shown.download(done))
    ]  # fmt: skip


def strokes(layers: Sequence[np.ndarray], picture: Image) -> np.ndarray:
    """Wherever any layer was painted on."""
    mask = np.zeros((picture.height, picture.width), dtype=bool)
    for layer in layers:
        alpha = PIL.fromarray(layer).convert("RGBA").getchannel("A")
        mask |= np.array(alpha.resize((picture.width, picture.height))) > 0
    if not mask.any():
        raise GenerationError("nothing is painted over: mark the part that should be drawn anew")
    return mask


def classify(service: Service) -> None:
    gr.Markdown("Show a few examples of X and as many of Y; the words need not mean anything.")
    with gr.Row():
        shots = []
        for label in "XY":
            with gr.Column():
                name = gr.Textbox(label, label=f"Name of {label}")
                files = parts.files(f"Examples of {label}", name=f"classify-{label}")
                shots += [name, files]
        with gr.Column():
            picture = drop("Which is this?", name="classify-in")
            go, stop = buttons("Classify", "classify")
            verdict = gr.Label(label="Verdict", elem_id="classify-out")
            save = saving("Page", "classify")
    begun = go.click(
        partial(_classify, service), [picture, *shots], [verdict, save], api_visibility="private"
    )
    stop.click(None, None, None, cancels=[begun])


@no_type_check
def _classify(
    service: Service,
    pixels: np.ndarray | None,
    x: str,
    of_x: Sequence[str] | None,
    y: str,
    of_y: Sequence[str] | None,
) -> Iterator[list[Any]]:
    shots = {
        name: [Image.read(path) for path in paths or []] for name, paths in ((x, of_x), (y, of_y))
    }
    try:
        system, picture = service.systems["racm3"], shown.opened(pixels)
        *_, verdict = steps(lambda watch: system.classify(picture, shots, watch=watch))
    except Racm3Error as error:
        raise gr.Error(str(error)) from error
    yield [verdict.probabilities, saved(shown.page(verdict, picture))]


def compose(service: Service) -> None:
    gr.Markdown("Begin a document of texts and pictures; the system goes on with it.")
    with gr.Row():
        with gr.Column():
            fields: list[Any] = []
            for number in (1, 2):
                fields.append(gr.Textbox(label=f"Text {number}", elem_id=f"compose-text-{number}"))
                fields.append(drop(f"Picture {number}", height=160))
            more = gr.Slider(1, 4, 1, step=1, label="How many parts to add at most")
            settings = controls(service.system.parts.settings)
            go, stop = buttons("Go on", "compose")
        with gr.Column():
            written = gr.HTML(label="The document", elem_id="compose-out")
            save = saving("Page", "compose")
            consulted = gallery("Consulted")
    begun = go.click(
        partial(_compose, service),
        [*fields, more, *settings],
        [written, consulted, save],
        api_visibility="private",
    )
    stop.click(None, None, None, cancels=[begun])


@no_type_check
def _compose(
    service: Service, text: str, first: Any, then: str, second: Any, more: float, *chosen: float
) -> Iterator[list[Any]]:
    system = service.systems["racm3"]
    given = [text, first, then, second]
    begun = [
        one if isinstance(one, str) else shown.opened(one)
        for one in given
        if one is not None and (not isinstance(one, str) or one.strip())
    ]
    try:
        settings = shown.settings(system.parts.settings, *chosen)
        document = Document.of(*begun)
        yield [f"<p>{len(begun)} parts so far ...</p>", [], saved(None)]
        done = None
        for now in steps(lambda watch: system.complete(document, settings, more=int(more),
                                                       watch=watch)):  # fmt: skip
            done = now if not isinstance(now, list) else done
        assert done is not None
    except Racm3Error as error:
        raise gr.Error(str(error)) from error
    yield [to_html(done.document), shown.sources(done.consulted), saved(shown.page(done))]
