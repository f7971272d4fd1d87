"""Averaged systems: the two ends, the way between them, and what cannot be averaged."""

from dataclasses import replace

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from racm3.document import Document
from racm3.errors import CheckpointError, ConfigError
from racm3.model.export import open_generator
from racm3.retrieval.embedding import embed
from racm3.retrieval.memory import Entry, MemoryStore
from racm3.runtime import load_json, save_json
from racm3.system import RACM3, Settings
from racm3.system.averaging import average_systems
from racm3.system.parts import save_parts
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.model import VQGAN
from tests.conftest import TINY_VQGAN, picture, tiny_generator


@pytest.fixture
def pair(system, tmp_path):
    """The folders of a system and of one with the same tokenizers and other generators."""
    size = len(system.codec.vocabulary)
    later = {
        name: tiny_generator(size, seed=seed) for seed, name in enumerate(("racm3", "cm3"), start=7)
    }
    save_parts(system.parts, tmp_path / "before")
    save_parts(
        replace(system.parts, generators=later, settings=Settings(candidates=3)), tmp_path / "after"
    )
    (tmp_path / "after" / "racm3-1.log.jsonl").write_text("{}\n")
    return tmp_path / "before", tmp_path / "after"


def averaged(pair, out, share):
    average_systems(*pair, out, share=share)
    return {name: open_generator(out / name).state_dict() for name in ("racm3", "cm3")}


@pytest.mark.parametrize(("share", "end"), [(0.0, 0), (1.0, 1)])
def test_nothing_and_all_of_the_later_one_are_the_two(pair, tmp_path, share, end):
    found = averaged(pair, tmp_path / "out", share)
    for name, state in found.items():
        torch.testing.assert_close(
            state, open_generator(pair[end] / name).state_dict(), rtol=0, atol=0
        )


def test_weights_are_those_of_pytorchs_moving_average(pair, tmp_path):
    found = averaged(pair, tmp_path / "out", 0.25)
    for name, state in found.items():
        average = get_ema_multi_avg_fn(decay=0.75)
        mean = AveragedModel(open_generator(pair[0] / name), multi_avg_fn=average)
        mean.update_parameters(open_generator(pair[0] / name))
        mean.update_parameters(open_generator(pair[1] / name))
        torch.testing.assert_close(state, mean.module.state_dict())


def test_all_else_is_of_the_later_one_and_answers_come_of_it(system, pair, tmp_path):
    average_systems(*pair, tmp_path / "out")
    assert load_json(tmp_path / "out" / "system.json") == load_json(pair[1] / "system.json")
    assert (tmp_path / "out" / "racm3-1.log.jsonl").exists()
    made = RACM3.open(tmp_path / "out", memory=system.parts.shelf, device="cpu")
    assert made.parts.settings.candidates == 3
    assert len(made.draw("a guitar").images) == 3


def test_stored_in_half_precision_it_stays_so(system, pair, tmp_path):
    save_parts(system.parts, tmp_path / "half", dtype=torch.float16)
    average_systems(pair[0], tmp_path / "half", tmp_path / "out")
    weights = "racm3/model.safetensors"
    sizes = {(tmp_path / name / weights).stat().st_size for name in ("half", "out")}
    assert len(sizes) == 1


@pytest.mark.parametrize("inside", [True, False])
def test_the_memory_stays_where_it_is(system, pair, tmp_path, inside):
    place = pair[1] / "memory" if inside else tmp_path / "elsewhere"
    encoder = system.encoder
    store = MemoryStore.create(place, encoder=encoder.name, dim=encoder.dim, sides=encoder.sides)
    kite = Document.of("a kite", picture(3))
    store.add([Entry(kite)], embed(encoder, [kite]))
    if not inside:
        about = load_json(pair[1] / "system.json")
        save_json(pair[1] / "system.json", {**about, "memory": "../elsewhere"})
    (tmp_path / "deep").mkdir()
    average_systems(*pair, tmp_path / "deep" / "out")
    assert not (tmp_path / "deep" / "out" / "memory").exists()
    made = RACM3.open(tmp_path / "deep" / "out", device="cpu")
    assert [one.document.text for one in made.draw("a kite").consulted] == ["a kite"]


def with_other(part, system):
    """The system with a tokenizer of its own."""
    codec = system.codec
    if part == "codes":
        torch.manual_seed(5)
        codec = Codec(codec.text, ImageTokenizer(VQGAN(TINY_VQGAN)))
    elif part == "words":
        codec = Codec(TextTokenizer.train(["zebras zigzag"] * 40, size=320), codec.image)
    size = len(codec.vocabulary)
    return replace(
        system.parts, codec=codec, generators={n: tiny_generator(size) for n in ("racm3", "cm3")}
    )


@pytest.mark.parametrize("part", ["codes", "words"])
def test_systems_whose_ids_mean_different_things_are_refused(system, pair, tmp_path, part):
    save_parts(with_other(part, system), tmp_path / "stranger")
    with pytest.raises(ConfigError, match="tokenizers of their own"):
        average_systems(pair[0], tmp_path / "stranger", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_averaged_is_said_so(system, pair, tmp_path):
    out = tmp_path / "out"
    alone = replace(system.parts, generators={"racm3": system.parts.generators["racm3"]})
    save_parts(alone, tmp_path / "alone")
    with pytest.raises(ConfigError, match="only the same ones can be averaged"):
        average_systems(pair[0], tmp_path / "alone", out)
    size = len(system.codec.vocabulary)
    wider = {name: tiny_generator(size, width=48) for name in ("racm3", "cm3")}
    save_parts(replace(system.parts, generators=wider), tmp_path / "wider")
    with pytest.raises(ConfigError, match="generators of different sizes"):
        average_systems(pair[0], tmp_path / "wider", out)
    assert not out.exists()
    with pytest.raises(ConfigError, match="no share between 0"):
        average_systems(*pair, out, share=1.5)
    with pytest.raises(ConfigError, match="there already"):
        average_systems(*pair, pair[0])
    with pytest.raises(CheckpointError, match="there is no system"):
        average_systems(pair[0], tmp_path / "nowhere", out)
    (pair[1] / "text" / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="cannot be opened as a tokenizer"):
        average_systems(*pair, out)
