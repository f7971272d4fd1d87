"""The page: one tab for each thing that the system does, mounted on the server."""

import os
from importlib.resources import files
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from fastapi import FastAPI

from racm3 import __version__
from racm3.interfaces.page import draw, memory, pictures
from racm3.interfaces.page.parts import NEWEST, counted, kept
from racm3.interfaces.server.service import Service
from racm3.system import Settings
from racm3.system.parts import SAMPLE

# Fonts of this machine: none is fetched.
THEME = gr.themes.Base(
    font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"], radius_size="sm"
)
CSS = """
.gradio-container{max-width:1200px!important;width:100%!important;margin:auto!important}
.gradio-container main,.gradio-container .wrap{min-width:0;width:100%;box-sizing:border-box}
.gallery-item img,.thumbnail-item img,.image-frame img{image-rendering:pixelated}
.grid-wrap.fixed-height{min-height:0!important;max-height:80vh!important}
.block:has(.grid-wrap)>label{position:static!important;display:inline-flex}
footer{display:none!important}
"""


def build(service: Service) -> gr.Blocks:
    with gr.Blocks(title="racm3", analytics_enabled=False) as blocks:
        gr.Markdown("# racm3\nLooked up, then drawn or described. Nothing leaves this machine.")
        with gr.Tabs(selected="draw") as tabs:
            with gr.Tab("Draw", id="draw"):
                fields = draw.build(service)
            with gr.Tab("Describe", id="describe"):
                pictures.describe(service)
            with gr.Tab("Infill & edit", id="infill"):
                pictures.infill(service)
            with gr.Tab("Classify", id="classify"):
                pictures.classify(service)
            with gr.Tab("Compose", id="compose"):
                pictures.compose(service)
            with gr.Tab("Memory", id="memory"):
                memory.build(service, fields[-1])
            with gr.Tab("About", id="about"):
                gr.Markdown(about(service))

        def load(request: gr.Request) -> list[Any]:
            return opened_by(service, dict(request.query_params))

        blocks.load(load, None, [tabs, *fields], api_visibility="private")
    return blocks


def opened_by(service: Service, asked: dict[str, str]) -> list[Any]:
    """A link fills the fields in: it says what was asked, with which seed and settings."""
    if "prompt" not in asked:
        # Whoever came without a link may have begun to type by now.
        return [*[gr.skip()] * 7, gr.Dropdown(kept(service.snapshots()))]
    states = service.snapshots()
    base = service.system.parts.settings
    snapshot = asked.get("snapshot", service.system.snapshot)
    newest = snapshot == service.system.snapshot
    if not newest and snapshot not in states:
        gr.Warning(f"the link was made with the memory {snapshot}; this is another one")
    return [
        gr.Tabs(selected=asked.get("tab", "draw")),
        asked["prompt"],
        number(asked, "seed", base.seed),
        number(asked, "candidates", base.candidates),
        number(asked, "temperature", base.sampling.temperature),
        number(asked, "guidance", base.guidance.weight),
        consulting(asked, base),
        gr.Dropdown(kept(states), value=NEWEST if newest else states.get(snapshot, NEWEST)),
    ]


def consulting(asked: dict[str, str], base: Settings) -> str:
    """How many documents a link asks for, as the page's field says it."""
    said = asked.get("documents", "")
    return said if said in counted(base) else str(base.documents)


def number(asked: dict[str, str], name: str, otherwise: float) -> float:
    try:
        return float(asked[name])
    except (KeyError, ValueError):
        return otherwise


def about(service: Service) -> str:
    """What this system is: sizes, memory, licence."""
    system, codec = service.system, service.system.codec
    sizes = [
        f"- `{name}`: {sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters, "
        f"{model.config.depth} layers x {model.config.width}"
        for name, model in system.parts.generators.items()
    ]
    card = files("racm3.assets") / "sample" / "MODEL_CARD.md"
    written = card.read_text(encoding="utf-8") if system.parts.name == SAMPLE else ""
    return "\n".join([
        f"racm3 {__version__}, Apache-2.0. System `{system.parts.name}`, memory "
        f"`{system.snapshot}`, retriever `{system.encoder.name}`.",
        "",
        *sizes,
        f"- pictures of {codec.image.side} pixels become {len(codec.image.grid)} codes of "
        f"{codec.image.codes}; {len(codec.text)} pieces of text",
        "",
        written,
    ])  # fmt: skip


def mount(app: FastAPI, service: Service) -> None:
    gr.mount_gradio_app(
        app,
        build(service),
        path="/",
        server_name=service.config.host,
        footer_links=[],
        ssr_mode=False,
        theme=THEME,
        css=CSS,
        max_file_size=int(service.config.body_mb * 2**20),
    )
