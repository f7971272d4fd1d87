"""The components that several tabs share."""

from typing import Any

import gradio as gr

from racm3.generation.tasks import EACH
from racm3.interfaces.server.schemas import MOST_CANDIDATES
from racm3.system import Settings

NEWEST, MOST_STATES = 0, 50
# Documents that have a weight of their own on the page.
SLOTS = EACH


def gallery(
    label: str, *, name: str | None = None, columns: int = 4, choosing: bool = False
) -> gr.Gallery:
    """Pictures side by side; for choosing one, a click does not enlarge it."""
    return gr.Gallery(
        label=label,
        columns=columns,
        height="auto",
        elem_id=name,
        object_fit="contain",
        allow_preview=not choosing,
    )


def drop(label: str, *, name: str | None = None, height: int = 260) -> gr.Image:
    """A place to drop a picture."""
    return gr.Image(
        label=label, type="numpy", height=height, elem_id=name, sources=["upload", "clipboard"]
    )


def files(label: str, *, name: str | None = None) -> gr.File:
    return gr.File(label=label, file_count="multiple", file_types=["image"], elem_id=name)


def states(snapshots: dict[str, int], *, name: str) -> gr.Dropdown:
    """Which state of the memory is read; 0 stands for the newest."""
    return gr.Dropdown(
        kept(snapshots), value=NEWEST, label="Memory as of", elem_id=name, min_width=140,
        visible=bool(snapshots),
    )  # fmt: skip


def kept(snapshots: dict[str, int]) -> list[tuple[str, int]]:
    return [("the newest", NEWEST), *list(reversed(snapshots.items()))[1 : MOST_STATES + 1]]


def saving(what: str, name: str) -> gr.DownloadButton:
    """A way to keep an answer, once there is one."""
    return gr.DownloadButton(f"{what} with provenance", elem_id=f"{name}-save", interactive=False)


def saved(path: str | None) -> gr.DownloadButton:
    """The same, with an answer or still without."""
    return gr.DownloadButton(value=path, interactive=path is not None)


def controls(base: Settings) -> list[Any]:
    """Seed and settings, closed until somebody wants them."""
    with gr.Accordion("Settings", open=False), gr.Row():
        seed = gr.Number(base.seed, label="Seed", precision=0, minimum=0, min_width=100)
        candidates = gr.Slider(1, MOST_CANDIDATES, base.candidates, step=1, label="Candidates")
        temperature = gr.Slider(0, 2, base.sampling.temperature, step=0.05, label="Temperature")
        guidance = gr.Slider(0, 8, base.guidance.weight, step=0.25, label="Guidance")
    return [seed, candidates, temperature, guidance]


def counts(base: Settings) -> gr.Dropdown:
    """How many documents to consult."""
    named = {"each": "one for each thing asked for"}
    choices = [(named.get(one, one), one) for one in counted(base)]
    return gr.Dropdown(
        choices, value=str(base.documents), label="Documents to consult", elem_id="draw-documents"
    )


def counted(base: Settings) -> list[str]:
    """What may be said of how many: the system's own number among them, whatever it is."""
    usual = ["each", *(str(count) for count in range(SLOTS + 1))]
    return usual if str(base.documents) in usual else [*usual, str(base.documents)]


def buttons(what: str, name: str) -> tuple[gr.Button, gr.Button]:
    """Begin, and stop what was begun."""
    with gr.Row():
        go = gr.Button(what, variant="primary", elem_id=f"{name}-go", min_width=100)
        return go, gr.Button("Stop", elem_id=f"{name}-stop", min_width=80)
