"""What ships says what its recipes say."""

import subprocess
import sys
from pathlib import Path

import pytest

from racm3.document import Image
from racm3.recipes.samples import SAMPLES
from racm3.system import RACM3
from racm3.system.parts import sample_folder

ROOT = Path(__file__).parents[2]

MADE_IT = (
    "sample_cpu",
    "further_cpu",
    "course_cpu",
    "decoder_cpu",
    "contrast_cpu",
    "dyed_cpu",
    "matching_gpu",
    "ordered_cpu",
    "labelled_cpu",
    "answering_cpu",
    "settled_cpu",
    "captioning_cpu",
    "recalling_cpu",
    "words_cpu",
    "asking_cpu",
    "phrasing_cpu",
)


@pytest.mark.parametrize("name", MADE_IT)
def test_the_shipped_system_looks_up_and_answers_as_its_recipes_say(name):
    recipe, parts = SAMPLES[name](), RACM3.open("sample", device="cpu").parts
    assert parts.retriever == recipe.retriever
    assert parts.settings == recipe.settings
    assert parts.align == recipe.stream.align


def test_its_decoding_is_measured_beside_other_settings(tmp_path):
    """`runs/tune.py`, at a size that says nothing about the settings."""
    command = [sys.executable, "runs/tune.py", str(sample_folder()), "--count", "1"]
    more = ["--only", "guidance of captions", "--out", str(tmp_path)]
    subprocess.run([*command, *more], check=True, cwd=ROOT, capture_output=True)
    said = (tmp_path / "tuning.md").read_text()
    assert "| guidance of captions | 1.0 |" in said
    assert said.count("| guidance of captions | 1.5 |") == said.count("| its own |") == 1
    assert Image.read(tmp_path / "tuning.png").pixels.std() > 1
