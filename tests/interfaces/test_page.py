"""The page in a real browser: every tab's main path, with screenshots in out/page."""

import html
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image as PIL
from playwright.sync_api import Page, expect, sync_playwright

from racm3.errors import GenerationError
from racm3.interfaces.page.app import build
from racm3.interfaces.page.running import steps
from racm3.interfaces.server.app import create_app
from racm3.interfaces.server.config import ServerConfig
from racm3.interfaces.server.service import changeable
from racm3.system import RACM3
from tests.conftest import picture
from tests.interfaces.server.conftest import served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = Path(__file__).parents[2] / "out" / "page"
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt-get install chromium)"),
    # Gradio's own client and uvicorn's websockets warn about each other's age.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def page_system(system: RACM3) -> RACM3:
    return changeable(RACM3(replace(system.parts)))


@pytest.fixture(scope="module")
def url(page_system: RACM3) -> Iterator[str]:
    with served(create_app(page_system, ServerConfig())) as place:
        yield place


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh page that may talk to nobody but our server, and leaves a screenshot."""
    opened = browser.new_page(viewport={"width": 1280, "height": 1100})
    opened.set_default_timeout(PATIENCE)
    foreign: list[str] = []
    opened.on("request", lambda one: foreign.append(one.url) if _foreign(one.url, url) else None)
    opened.goto(url)
    opened.wait_for_selector("#draw-go")
    yield opened
    SHOTS.mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=str(SHOTS / f"{request.node.name}.png"), full_page=True)
    opened.close()
    assert not foreign


def _foreign(asked: str, url: str) -> bool:
    return urlsplit(asked).scheme in ("http", "https") and not asked.startswith(url)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{n}.png" for n in range(4)]
    for n, path in enumerate(paths):
        picture(n).pil().resize((128, 128), PIL.Resampling.NEAREST).save(path)
    return [str(path) for path in paths]


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def images(page: Page, name: str) -> Any:
    return page.locator(f"#{name} img")


def draw(page: Page, caption: str) -> None:
    page.locator("#draw-caption textarea, #draw-caption input").first.fill(caption)
    page.locator("#draw-go").click()


def saved(page: Page, name: str) -> str:
    """The page that an answer is downloaded as."""
    expect(page.locator(f"#{name}-save")).to_be_enabled()
    with page.expect_download() as started:
        page.locator(f"#{name}-save").click()
    written = Path(started.value.path()).read_text(encoding="utf-8")
    assert '"snapshot"' in html.unescape(written)
    return html.unescape(written)


def test_draw_shows_candidates_sources_influence_and_a_link(page: Page, browser, url) -> None:
    draw(page, "an apple")
    expect(images(page, "draw-consulted").first).to_be_visible()
    expect(images(page, "draw-heat")).to_have_count(2)
    expect(images(page, "draw-result").first).to_be_visible()
    expect(images(page, "draw-plain").first).to_be_visible()
    expect(page.locator("#draw-result")).to_contain_text("% copied")
    link = page.locator("#draw-link textarea, #draw-link input").first
    expect(link).not_to_have_value("")
    asked = parse_qs(urlsplit(link.input_value()).query)
    assert asked["prompt"] == ["an apple"]
    with page.expect_download() as started:
        page.locator("#draw-save").click()
    with PIL.open(started.value.path()) as saved:
        about = json.loads(saved.text["racm3"])
    assert about["prompt"] == "an apple"
    assert about["snapshot"] == asked["snapshot"][0]
    other = browser.new_page()
    other.goto(url + link.input_value())
    expect(other.locator("#draw-caption textarea, #draw-caption input").first).to_have_value(
        "an apple", timeout=PATIENCE
    )
    other.close()


def test_a_document_can_be_switched_off_and_the_result_differs(page: Page) -> None:
    draw(page, "a guitar")
    expect(images(page, "draw-heat")).to_have_count(2)
    before = images(page, "draw-result").first.get_attribute("src")
    page.get_by_label("number input for Document 1 counts (0: off)").fill("0")
    page.keyboard.press("Tab")
    page.locator("#draw-go").click()
    page.wait_for_function(
        "before => { const now = document.querySelector('#draw-result img');"
        " return now && now.src !== before && document.querySelectorAll('#draw-heat img').length }",
        arg=before,
    )


def test_a_mistake_is_told_in_words(page: Page) -> None:
    draw(page, "  ")
    expect(page.get_by_text("the caption is empty")).to_be_visible()


def test_describe_writes_texts_with_perplexities(page: Page, files) -> None:
    tab(page, "Describe")
    page.locator("#describe-in input[type=file]").set_input_files(files[0])
    expect(images(page, "describe-in").first).to_be_visible()
    page.locator("#describe-go").click()
    expect(page.get_by_text("What document 1 did to each word").first).to_be_visible()
    expect(page.locator("#describe-out")).to_contain_text(re.compile(r"\d+\.\d+"))
    assert '"perplexities"' in saved(page, "describe")


def test_infill_redraws_what_is_painted_over(page: Page, files) -> None:
    tab(page, "Infill & edit")
    canvas = page.locator("#infill-in canvas").first
    expect(canvas).to_be_visible()
    page.wait_for_timeout(2000)
    page.locator("#infill-in input[type=file]").first.set_input_files(files[1])
    # The editor invites until it holds a picture.
    expect(page.locator("#infill-in").get_by_text("Upload an image")).to_be_hidden()
    page.wait_for_timeout(1500)
    box = canvas.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 30, middle[1] + 20, steps=8)
    page.mouse.up()
    # The editor hands its layers over a moment after the stroke.
    page.wait_for_timeout(3000)
    page.locator("#infill-go").click()
    expect(page.get_by_text("PNG with provenance").last).to_be_visible()
    expect(images(page, "infill-out").first).to_be_visible()
    page.wait_for_timeout(500)


def test_classify_says_how_likely_each_label_is(page: Page, files) -> None:
    tab(page, "Classify")
    page.locator("#classify-X input[type=file]").set_input_files(files[0])
    page.locator("#classify-Y input[type=file]").set_input_files(files[1])
    page.locator("#classify-in input[type=file]").set_input_files(files[0])
    expect(images(page, "classify-in").first).to_be_visible()
    page.wait_for_timeout(500)
    page.locator("#classify-go").click()
    expect(page.locator("#classify-out")).to_contain_text("%")
    assert '"probabilities"' in saved(page, "classify")


def test_compose_goes_on_with_a_document(page: Page) -> None:
    tab(page, "Compose")
    page.locator("#compose-text-1 textarea, #compose-text-1 input").first.fill("an apple")
    page.locator("#compose-go").click()
    page.wait_for_function(
        "() => document.querySelector('#compose-out img, #compose-out p:nth-of-type(2)')"
    )
    assert "an apple" in saved(page, "compose")


def test_memory_is_searched_extended_and_cut(page: Page, files) -> None:
    tab(page, "Memory")
    expect(page.locator("#memory-state")).to_contain_text("6 documents")
    page.get_by_text("Add documents").click()
    page.locator("#memory-files input[type=file]").set_input_files(files[3])
    page.locator("#memory-words textarea, #memory-words input").first.fill("a zebra")
    expect(page.locator("#memory-files")).to_contain_text("KB")
    page.locator("#memory-add-go").click()
    expect(page.locator("#memory-state")).to_contain_text("7 documents")
    page.locator("#memory-text textarea, #memory-text input").first.fill("a zebra")
    page.locator("#memory-go").click()
    chosen = page.locator("#memory-wall button", has_text="a zebra").first
    chosen.click()
    expect(page.locator("#memory-chosen")).to_contain_text("a zebra")
    expect(images(page, "memory-near").first).to_be_visible()
    page.locator("#memory-snapshot input").click()
    page.get_by_role("option").nth(1).click()
    expect(page.locator("#memory-wall")).not_to_contain_text("a zebra")
    page.locator("#memory-snapshot input").click()
    page.get_by_role("option", name="the newest").click()
    expect(page.locator("#memory-wall")).to_contain_text("a zebra")
    page.locator("#memory-remove").click()
    expect(page.locator("#memory-state")).to_contain_text("6 documents")
    expect(page.locator("#memory-wall")).not_to_contain_text("a zebra")


def test_about_says_what_this_is(page: Page) -> None:
    tab(page, "About")
    expect(page.get_by_text("Apache-2.0").first).to_be_visible()
    expect(page.get_by_text("parameters").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction_only(browser, url, scheme) -> None:
    phone = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    opened = phone.new_page()
    opened.goto(url)
    opened.wait_for_selector("#draw-go", timeout=PATIENCE)
    wide = opened.evaluate("document.documentElement.scrollWidth")
    SHOTS.mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=str(SHOTS / f"phone-{scheme}.png"))
    phone.close()
    assert wide <= 391


def test_the_main_path_needs_no_mouse(page: Page) -> None:
    page.locator("#draw-caption textarea, #draw-caption input").first.focus()
    page.keyboard.type("an apple")
    page.keyboard.press("Enter")
    expect(images(page, "draw-result").first).to_be_visible()


def test_whoever_stops_listening_stops_the_work() -> None:
    seen, ended = list[int](), threading.Event()

    def work(watch: Any) -> str:
        try:
            for number in range(1000):
                watch([[0] * (number + 1)])
                seen.append(number)
                time.sleep(0.01)
        finally:
            ended.set()
        return "done"

    listening = steps(work)
    assert len(next(listening)) == 1
    listening.close()
    assert ended.wait(10)
    assert len(seen) < 900
    assert list(steps(lambda watch: watch([[1]]) or "done"))[-1] == "done"
    with pytest.raises(GenerationError, match="nothing"):
        list(steps(lambda watch: fail("nothing")))


def fail(words: str) -> None:
    raise GenerationError(words)


def test_every_field_has_a_name(page_system: RACM3) -> None:
    from racm3.interfaces.server.service import Service

    service = Service(page_system, ServerConfig())
    config = build(service).get_config_file()
    kinds = ("textbox", "slider", "number", "image", "gallery", "file", "imageeditor", "button")
    unnamed = [
        one["type"]
        for one in config["components"]
        if one["type"] in kinds and not (one["props"].get("label") or one["props"].get("value"))
    ]
    assert not unnamed
    service.close()
