import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from racm3.data.prepare import Remembered, encode_all
from racm3.data.prepared import Prepared
from racm3.errors import ConfigError
from racm3.interfaces.cli.main import main
from racm3.recipes.collection import prepare_memory
from racm3.recipes.own import OWN, STAGES, Own
from racm3.recipes.remembering import remove_documents
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.retriever import Retriever
from racm3.retrieval.siglip import open_dual
from racm3.system import RACM3
from tests.conftest import picture

WORDS = ("red boat", "old tree", "tall house", "small dog", "green car", "blue bird")


def show(folder: Path, number: int) -> None:
    (folder / f"{number}.png").write_bytes(picture(number, 40, 48).png())
    (folder / f"{number}.txt").write_text(f"a {WORDS[number % len(WORDS)]} number {number}")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(6):
        show(folder, number)
    return folder


def own(source: Path, out: Path, *more: str) -> None:
    main(["train", "own", str(source), "--out", str(out), "--recipe", "tiny", *more])


@pytest.fixture(scope="module")
def made(source, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("mine")
    own(source, out)
    return out


def copied(made: Path, to: Path) -> Path:
    shutil.copytree(made, to, dirs_exist_ok=True)
    return to


def test_one_command_makes_a_system_that_consults_the_collection(made, tmp_path, capsys):
    moved = copied(made, tmp_path / "elsewhere")
    line = f"draw a_red_boat --system {moved}/system --out {tmp_path}/a.png --json --device cpu"
    main(line.split())
    answer = json.loads(capsys.readouterr().out)
    assert (tmp_path / "a.png").exists()
    assert all(" number " in one["title"] for one in answer["consulted"])
    assert answer["consulted"]
    system = RACM3.open(moved / "system", device="cpu")
    assert list(system.parts.generators) == ["racm3"]
    assert system.parts.shelf.path == moved / "system" / "../memory", (
        "it goes where its system goes"
    )


def test_whoever_is_stopped_ends_with_the_same_system(made, source, tmp_path):
    for stage in STAGES:
        own(source, tmp_path, "--stage", stage)
    for name in ("tokenizer", "clip", "racm3"):
        file = Path("final", "model.safetensors")
        assert (tmp_path / name / file).read_bytes() == (made / name / file).read_bytes(), name
    assert list(RACM3.open(tmp_path / "system").parts.generators) == ["cm3", "racm3"]


def test_pictures_that_are_added_are_remembered_and_nothing_is_trained_again(source, tmp_path):
    photos, out = copied(source, tmp_path / "photos"), tmp_path / "run"
    own(photos, out)
    show(photos, 6)
    logs = [out / name / "log.jsonl" for name in ("tokenizer", "clip", "racm3")]
    before = [log.stat().st_mtime_ns for log in logs]
    own(photos, out)
    assert [log.stat().st_mtime_ns for log in logs] == before
    assert RACM3.open(out / "system", device="cpu").parts.shelf.ids().tolist() == list(range(7))


def test_what_was_removed_does_not_come_back_with_the_next_pictures(source, tmp_path, capsys):
    photos, out = copied(source, tmp_path / "photos"), tmp_path / "run"
    own(photos, out, "--stage", "memory")
    remove_documents(MemoryStore.open(out / "memory"), [2])
    show(photos, 6)
    own(photos, out, "--stage", "memory")
    assert MemoryStore.open(out / "memory").ids().tolist() == [0, 1, 3, 4, 5, 6]
    said = capsys.readouterr().err
    assert "1 were removed from the memory once and stay so" in said
    (command,) = re.findall(r"racm3 (memory add .*)", said)
    main(command.split())
    assert MemoryStore.open(out / "memory").ids().tolist() == [0, 1, 3, 4, 5, 6, 7]


def test_a_clip_that_is_given_is_used_and_none_is_trained(made, source, tmp_path):
    given = made / "clip" / "final"
    own(source, tmp_path, "--clip", str(given), "--stage", "memory")
    assert not (tmp_path / "clip").exists()
    assert MemoryStore.open(tmp_path / "memory").about["dim"] == 16


def test_what_is_removed_from_the_memory_is_not_learnt_from(made, tmp_path):
    out = copied(made, tmp_path / "run")
    store = MemoryStore.open(out / "memory")
    remove_documents(store, [2])
    assert Prepared.open(out / "prepared").about["ids"] == [0, 1, 3, 4, 5]
    assert Prepared.open(made / "prepared").about["ids"] == list(range(6)), "the copy alone"


def test_a_collection_need_not_fit_into_ram(made, tmp_path, monkeypatch, codec):
    store = MemoryStore.open(made / "memory")
    first = store.documents([0])[0]
    ids, asked = list(range(6)) * 30, []
    read = store.documents
    monkeypatch.setattr(store, "documents", lambda ids: asked.append(len(ids)) or read(ids))
    remembered = Remembered(store, ids)
    assert len(remembered) == 180
    assert remembered[6] == remembered[-6] == first
    found = remembered[:180]
    assert len(found) == 180
    assert max(asked) <= 32
    encode_all(codec, lambda a, b: remembered[a:b], 180, label="documents")
    assert max(asked) <= 32
    monkeypatch.setattr("racm3.data.prepare.LARGE", 20)
    assert {one.images[0].pixels.shape for one in remembered[:6]} == {(20, 24, 3)}


@pytest.mark.parametrize("modality", ["document", "text"])
def test_a_memory_that_is_learnt_from_is_not_encoded_twice(made, codec, monkeypatch, modality):
    """And what is shown beside its documents is what it would have been."""
    store, clip = MemoryStore.open(made / "memory"), open_dual(made / "clip" / "final")
    config, read, asked = RetrieverConfig(modality=modality), store.documents, []
    monkeypatch.setattr(store, "documents", lambda ids: asked.append(len(ids)) or read(ids))
    found = prepare_memory(codec, clip, store, config)
    # To look neighbours up, to learn from, and to show where that is something else.
    assert asked.count(6) == (2 if modality == "document" else 3)
    retriever = Retriever(clip, store, config)
    twin = encode_all(codec, lambda a, b: retriever.read(list(range(a, b))), 6, label="twin")
    for name, values in twin.arrays.items():
        np.testing.assert_array_equal(found.memory.arrays[name], values)


def test_a_folder_belongs_to_one_collection(made, tmp_path, source):
    (tmp_path / "other").mkdir()
    show(tmp_path / "other", 0)
    with pytest.raises(ConfigError, match="was begun with"):
        Own(tmp_path / "other", made, "tiny")
    with pytest.raises(ConfigError, match="own_cpu, own_gpu, tiny"):
        Own(source, tmp_path / "x", "large")
    with pytest.raises(ConfigError, match="cannot be met 0 times"):
        Own(source, tmp_path / "x", "tiny", passes=0)
    assert not (tmp_path / "x").exists()


def test_an_unknown_stage_is_named(source, tmp_path, capsys):
    with pytest.raises(SystemExit):
        own(source, tmp_path / "y", "--stage", "clip")
    assert "choose one of tokenizer, text, encoder" in capsys.readouterr().err


@pytest.mark.parametrize("name", OWN)
def test_a_document_and_what_it_consults_fit_into_a_row(name):
    recipe = OWN[name]()
    cells, stream = recipe.vqgan.cells**2, recipe.stream
    assert stream.length >= 2 * cells + 48
    assert recipe.generator.context >= stream.length
    assert stream.align % cells == 0
    assert recipe.generator.period == stream.align


def test_few_documents_are_not_met_again_and_again(source, made, tmp_path, capsys, monkeypatch):
    folder = copied(made, tmp_path / "few")
    run = Own(source, folder, "tiny")
    assert run.training == run.recipe.training
    read = sum(len(segment.ids) for document in run.prepared().documents for segment in document)
    row, many = run.recipe.stream.rows * run.recipe.stream.length, 50
    longer = replace(OWN["tiny"](), training=replace(run.recipe.training, steps=many, warmup=20))
    monkeypatch.setitem(OWN, "tiny", lambda: longer)
    shorter = Own(source, folder, "tiny").training
    assert shorter.steps == round(longer.passes * 2 * read / row) < many
    assert shorter.warmup <= shorter.steps // 4
    shutil.rmtree(folder / "racm3")
    own(source, folder)
    assert f"{shorter.steps} updates instead of {many}" in capsys.readouterr().err
    lines = (folder / "racm3" / "log.jsonl").read_text().splitlines()
    assert sum('"train"' in line for line in lines) == shorter.steps
    own(source, folder)
    assert "updates instead" not in capsys.readouterr().err
    assert Own(source, folder, "tiny", passes=10_000).training.steps == many
