"""From nothing to an answer, as the README tells it."""

import re
import runpy
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

import racm3
from racm3.data.sample_world.corpus import memory
from racm3.document import Document, Image
from racm3.evaluation.shown import Shown, sheet, strip
from racm3.interfaces.cli.main import VERBS, build_parser
from racm3.interfaces.page.gallery import make_gallery
from racm3.model.export import open_generator
from racm3.recipes.build import Build
from racm3.recipes.collection import Beginning
from racm3.recipes.further import Further
from racm3.recipes.papers import PAPER_RATES, photos_gpu
from racm3.recipes.papers import racm3 as paper_recipe
from racm3.recipes.tiny import (
    tiny,
    tiny_course,
    tiny_decoder,
    tiny_further,
    tiny_seeing,
    tiny_words,
)
from racm3.system import RACM3, Consulted, Settings
from racm3.system.parts import sample_folder
from racm3.tokens.image import ImageTokenizer
from tests.architecture.test_floors import FLOORS
from tests.conftest import unspaced

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / name for name in ("README.md", "docs/collections.md", "docs/comparisons.md")]


def test_the_whole_sample_recipe_ends_in_a_system_that_answers(run, tmp_path):
    system = RACM3.open(run / "system", device="cpu")
    assert system.snapshot.startswith("sample world")
    page = make_gallery(system, Settings(), tmp_path).read_text()
    assert (tmp_path / "contact-sheet.png").exists()
    assert page.count("<tr>") == 18
    assert 'src="http' not in page
    assert "never seen in training" in page
    assert "hard, small letters: drew " in page


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_line_of_the_sheet_shows_up_to_four_sources(count):
    def flat(shade: int) -> Image:
        return Image(np.full((8, 8, 3), (shade, 0, 99), np.uint8))

    read = [Consulted(None, None, Document.of(flat(40 * number))) for number in range(1, 5)]
    pixels = sheet([strip(Shown("a", "b", tuple(read[:count]), None, flat(250), flat(240)))]).pixels
    areas = [int((pixels == (40 * number, 0, 99)).all(axis=2).sum()) for number in range(1, 5)]
    side = 128 if count < 3 else 64
    assert areas == [side * side] * count + [0] * (4 - count)
    assert (pixels == (250, 0, 99)).all(axis=2).sum() == 128 * 128


def test_a_finished_run_is_not_trained_again(run):
    log = run / "racm3" / "1" / "log.jsonl"
    before = log.stat().st_mtime_ns
    Build(tiny(), run, on="cpu").system()
    assert log.stat().st_mtime_ns == before


def test_the_second_course_begins_with_what_the_first_has_learnt(run):
    first, second = (open_generator(run / "racm3" / course / "final") for course in "01")
    codec = Build(tiny(), run, on="cpu").codec()
    beginning = Beginning(size=tiny().generator, codes=codec.image.vqgan.codebook.vectors)
    fresh = beginning.model(codec.vocabulary, tiny().courses[1].training.seed)
    start, end, nothing = (
        torch.cat([p.detach().flatten() for p in model.parameters()])
        for model in (first, second, fresh)
    )
    assert (end - nothing).norm() > 1.2 * (start - nothing).norm(), "it began anew"


def test_a_finished_system_goes_on_with_a_finer_codebook(run, tmp_path):
    old = RACM3.open(run / "system", device="cpu")
    Further(tiny_further(), tmp_path / "run", after=run / "system", on="cpu").system()
    new = RACM3.open(tmp_path / "run" / "system", device="cpu")
    assert (old.codec.image.codes, new.codec.image.codes) == (64, 96)
    assert new.codec.text.encode("a leopard") == old.codec.text.encode("a leopard")
    assert (new.encoder.texts(["a leopard"]) == old.encoder.texts(["a leopard"])).all()
    assert new.draw("a leopard", Settings(candidates=1)).image.width == 64
    # Weights went on: what reads texts is nearer to what it was than fresh weights would be.
    text = slice(0, len(new.codec.vocabulary.text))
    rows = [one.parts.generators["racm3"].embed_tokens.weight[text] for one in (old, new)]
    assert (rows[0] - rows[1]).norm() < 0.5 * rows[0].norm()
    # The polished decoder draws what the tokenizer's codes say.
    pictures = [document.images[0] for document in memory("seen")[:8]]
    learnt = ImageTokenizer.open(tmp_path / "run" / "tokenizer" / "final")
    polished = new.codec.image
    assert (learnt.encode(pictures) == polished.encode(pictures)).all()
    codes = learnt.encode(pictures)
    assert any(a != b for a, b in zip(learnt.decode(codes), polished.decode(codes), strict=True))
    logs = {log.name for log in (tmp_path / "run" / "system").glob("*.log.jsonl")}
    assert {"tokenizer-0.log.jsonl", "tokenizer.log.jsonl", "decoder.log.jsonl"} <= logs
    assert "clip.log.jsonl" in logs
    assert {f"{name}-{n}.log.jsonl" for name in ("racm3", "cm3") for n in range(3)} <= logs
    # Once more, with these codes.
    after = tmp_path / "run" / "system"
    plain = unspaced(new.codec.text)
    plain.save(after / "text")
    more = Further(tiny_course(), tmp_path / "again", after=after, on="cpu")
    assert (more.recipe.numbers, more.recipe.courses[0].fiction) == (range(3, 4), 3)
    more.system()
    assert more.job(more.recipe, "racm3", 3).stream.asked == 2.0
    again = RACM3.open(tmp_path / "again" / "system", device="cpu")
    assert again.codec.image.decode(codes) == polished.decode(codes)
    # Its texts began without a space, which is mended, too.
    assert again.codec.text.encode("leopard") == plain.encode(" leopard") != plain.encode("leopard")
    rows = [one.parts.generators["cm3"].embed_tokens.weight for one in (new, again)]
    assert 0 < (rows[0] - rows[1]).norm() < 0.5 * rows[0].norm()
    new_logs = {f"{name}-3.log.jsonl" for name in ("racm3", "cm3")}
    assert {log.name for log in (tmp_path / "again" / "system").glob("*.jsonl")} == logs | new_logs
    # And a decoder that is told more of these codes; the generators stay.
    after = tmp_path / "again" / "system"
    Further(tiny_decoder(), tmp_path / "last", after=after, on="cpu").system()
    last = RACM3.open(tmp_path / "last" / "system", device="cpu")
    assert (last.codec.image.encode(pictures) == codes).all()
    assert last.codec.image.decode(codes) != polished.decode(codes)
    kept = zip(*(one.parts.generators["cm3"].parameters() for one in (again, last)), strict=True)
    assert all((one == other).all() for one, other in kept)
    last_logs = {log.name for log in (tmp_path / "last" / "system").glob("*.jsonl")}
    assert last_logs == logs | new_logs | {"decoder-0.log.jsonl"}
    # A CLIP that tells words, and a memory in its vectors; all else stays.
    after = tmp_path / "last" / "system"
    Further(tiny_words(), tmp_path / "words", after=after, on="cpu").system()
    told = RACM3.open(tmp_path / "words" / "system", device="cpu")
    assert (told.encoder.dim, last.encoder.dim) == (24, 16)
    assert told.encoder.sides.columns == ("keywords",)
    assert told.draw("a leopard", Settings(candidates=1)).image.width == 64
    kept = zip(*(one.parts.generators["cm3"].parameters() for one in (told, last)), strict=True)
    assert all((one == other).all() for one, other in kept)
    word_logs = {log.name for log in (tmp_path / "words" / "system").glob("*.jsonl")}
    assert word_logs == last_logs | {"clip-0.log.jsonl"}
    # And one that knows what the tokenizer draws: texts stay, pictures and their vectors do not.
    after = tmp_path / "words" / "system"
    Further(tiny_seeing(), tmp_path / "decoded", after=after, on="cpu").system()
    sees = RACM3.open(tmp_path / "decoded" / "system", device="cpu")
    assert (sees.encoder.texts(["a leopard"]) == told.encoder.texts(["a leopard"])).all()
    apart = sees.encoder.images(pictures) - told.encoder.images(pictures)
    assert 0 < np.abs(apart).max() < 0.1
    decoded_logs = {log.name for log in (tmp_path / "decoded" / "system").glob("*.jsonl")}
    assert decoded_logs == word_logs | {"clip-1.log.jsonl"}
    # A codebook that is refined after that keeps what its decoder is told.
    finer = Further(tiny_further(), tmp_path / "finer", after=tmp_path / "last" / "system")
    assert finer.decoder().vqgan.config.detail == last.codec.image.vqgan.config.detail == 4


def test_what_ships_is_small():
    """At most 40 MB are fetched: a wheel holds its files deflated."""
    files = [path for path in sample_folder().parent.rglob("*") if path.is_file()]
    assert sum(len(zlib.compress(path.read_bytes())) for path in files) < 40_000_000


def commands(page: Path) -> list[str]:
    joined = page.read_text().replace("\\\n", " ")
    lines = re.findall(r"^\$ (?:\.venv/bin/)?racm3 (.*)$", joined, re.MULTILINE)
    return [part.split("#")[0].strip() for line in lines for part in line.split("&& racm3 ")]


@pytest.mark.parametrize("line", dict.fromkeys(line for page in PAGES for line in commands(page)))
def test_every_command_of_the_readme_and_its_pages_parses(line):
    words = shlex.split(line.replace("&&", "").strip())
    assert words[0] in VERBS
    build_parser().parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_readme_and_its_pages_have_commands_and_what_they_show(page):
    assert len(commands(page)) > 9
    for place in re.findall(r"\]\(((?!https?:)[^)]+)\)", page.read_text()):
        assert (page.parent / place).exists(), place


def test_the_tables_of_the_readme_and_its_pages_are_those_of_the_reports():
    for name, text in runpy.run_path(str(ROOT / "runs/readme.py"))["pages"]().items():
        assert text == (ROOT / name).read_text(), "run .venv/bin/python runs/readme.py"


def test_what_the_readme_says_of_the_orders_was_counted():
    counted = {
        line.split("|")[1].strip(): line.split("|")[-2].strip()
        for line in PAGES[2].read_text().splitlines()
        if line.startswith("| ")
    }
    said = re.findall(r"(\d+%) of these orders are there, on photographs (\d+%)", README)
    assert said == [(counted["sample world, every order once"], counted["photographs, a GPU"])]


def test_the_map_of_the_readme_is_true():
    block = README.split("## The map")[1].split("```")[1]
    named = [line.split()[0] for line in block.strip().splitlines()]
    floors = [name for floor in reversed(FLOORS[1:]) for name in sorted(floor, reverse=True)]
    assert named == floors


def test_the_paper_map_names_files_that_exist():
    text = (ROOT / "docs" / "paper-map.md").read_text()
    package = Path(racm3.__file__).parent
    for name in re.findall(r"`([\w/]+\.py|[\w/]+/)`", text):
        assert (package / name).exists() or (ROOT / name).exists(), name


@pytest.mark.parametrize("name", PAPER_RATES)
def test_the_papers_recipes_have_the_papers_numbers(name):
    recipe = paper_recipe(name)
    assert recipe.stream.length == 4096
    assert recipe.training.warmup == 1500
    assert recipe.training.alpha == 0.1
    assert recipe.training.betas == (0.9, 0.98)
    assert photos_gpu().stream.counts == (0, 1, 2)


def test_the_command_line_waits_for_nothing_that_only_sharding_needs():
    code = "import sys, racm3.interfaces.cli.main; print('torch.distributed.tensor' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_importing_racm3_imports_nothing_heavy():
    import subprocess
    import sys

    code = "import sys, racm3; print([m for m in ('torch','lancedb','PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


FEW = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"lancedb", "lance", "pyarrow", "jsonargparse", "transformers",
                                  "huggingface_hub", "rich", "yaml", "matplotlib"}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import racm3.recipes.build
"""


def test_training_the_sample_system_needs_only_what_a_gpu_machine_has():
    subprocess.run([sys.executable, "-c", FEW], check=True, cwd=ROOT)
