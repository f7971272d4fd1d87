"""Every verb, started as a person would start it, on good and on broken input."""

import inspect
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PIL

from racm3.data.prepared import Prepared
from racm3.document import Image
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.interfaces.cli import evaluate, main
from racm3.interfaces.cli.main import VERBS, build_parser, parse
from racm3.interfaces.cli.waiting import waiting
from racm3.model.export import open_generator
from racm3.retrieval.memory import MemoryStore
from racm3.system import RACM3, Settings
from racm3.system.parts import sample_folder, save_parts
from tests.conftest import picture


@pytest.fixture(scope="module")
def place(tmp_path_factory, system):
    """A folder with a system, a source of six captioned pictures and a memory made of it."""
    folder = tmp_path_factory.mktemp("cli")
    system.save(folder / "system")
    (folder / "source").mkdir()
    rows = []
    for i, document in enumerate(system.parts.shelf.documents(range(6))):
        (folder / "source" / f"{i}.png").write_bytes(document.images[0].png())
        licence = "cc0" if i % 2 else "cc-by"
        rows.append({"file_name": f"{i}.png", "caption": document.text, "licence": licence})
    text = "\n".join(map(json.dumps, rows))
    (folder / "source" / "captions.jsonl").write_text(text)
    (folder / "picture.png").write_bytes(picture(0).png())
    (folder / "broken.png").write_bytes(picture(0, 64, 64).png()[:300])
    run(f"memory build {folder}/memory {folder}/source --clip {folder}/system/clip")
    return folder


def run(line: str, *more: str) -> None:
    main([*line.split(), *more])


def using(place) -> str:
    return f"--system {place}/system --memory {place}/memory --device cpu"


def test_draw_saves_a_picture_and_says_what_was_consulted(place, tmp_path, capsys):
    run(f"draw guitar --out {tmp_path}/a.png --candidates 2 {using(place)}")
    out = capsys.readouterr().out
    assert out.count("consulted") == 2
    assert Image.read(tmp_path / "a.png").width == 16
    assert (tmp_path / "a-2.png").exists()


def test_draw_says_in_which_words_a_caption_was_read(capsys, tmp_path):
    run(f"draw --out {tmp_path}/a.png --candidates 1 --device cpu", "a dog wearing a crown")
    assert "read as\ta dog below a crown" in capsys.readouterr().out
    run(f"draw --out {tmp_path}/b.png --candidates 1 --device cpu --json", "a blue dog")
    assert (
        json.loads(capsys.readouterr().out)["revised_prompt"]
        == "a dog dyed blue on a white background"
    )
    typed = f"draw --out {tmp_path}/b.png --candidates 1 --device cpu --as_typed true"
    run(typed, "a blue dog")
    assert "read as" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ([[[7]], [[7, 8], [9]]], "drawing: 2 ids said"),
        ([[[7, 8]], [], [], []], "drawing: 3 compared"),
    ],
)
def test_a_terminal_shows_how_far_an_answer_is(told, shown, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "yes")  # as on a terminal
    with waiting("drawing") as watch:
        for said in told:
            watch(said)
    printed = capsys.readouterr()
    assert shown in printed.err
    assert not printed.out


def test_a_log_is_told_nothing_of_it(place, tmp_path, capsys):
    run(f"draw guitar --out {tmp_path}/a.png --json {using(place)}")
    assert not capsys.readouterr().err


def test_draw_prints_json(place, tmp_path, capsys):
    run(f"draw guitar --out {tmp_path}/a.png --seed 3 --json {using(place)}")
    answer = json.loads(capsys.readouterr().out)
    assert answer["settings"]["seed"] == 3
    assert answer["snapshot"].startswith("memory@")
    assert len(answer["consulted"]) == 2
    run(f"draw guitar --out {tmp_path}/a.png --documents each --json {using(place)}")
    answer = json.loads(capsys.readouterr().out)
    assert answer["settings"]["documents"] == "each"
    assert len(answer["consulted"]) == 1


def test_a_system_brings_its_own_settings_and_people_overrule_them(place, system, tmp_path, capsys):
    best = Settings(candidates=3, sampling=Sampling(temperature=0.5), guidance=Guidance(weight=2.0))
    save_parts(replace(system.parts, settings=best), tmp_path / "system")
    line = f"draw guitar --out {tmp_path}/a.png --json --system {tmp_path}/system --device cpu"
    for more, candidates, temperature in (("", 3, 0.5), (" --candidates 1", 1, 0.5)):
        run(line + more)
        told = json.loads(capsys.readouterr().out)["settings"]
        assert told["candidates"] == candidates
        assert told["sampling"]["temperature"] == temperature
        assert told["guidance"]["weight"] == 2.0
    opened = RACM3.open(tmp_path / "system", device="cpu")
    assert opened.draw("guitar").settings == best


def test_where_words_are_said_the_systems_weight_for_them_holds_and_people_overrule_it(
    place, system, tmp_path, capsys
):
    best = Settings(guidance=Guidance(weight=2.0, caption_weight=1.0))
    save_parts(replace(system.parts, settings=best), tmp_path / "system")
    with_ = f"--json --system {tmp_path}/system --memory {place}/memory --device cpu"
    caption = f"caption {place}/picture.png"
    lines = {
        f"draw guitar --out {tmp_path}/a.png": 2.0,
        caption: 1.0,
        f"{caption} --guidance.weight 3": 3.0,
        f"{caption} --guidance.caption_weight 4": 4.0,
    }
    for line, weight in lines.items():
        run(f"{line} {with_}")
        told = json.loads(capsys.readouterr().out)["settings"]["guidance"]
        assert told["weight"] == weight
    run(f"infill_text {with_}", "a ___ here")
    assert json.loads(capsys.readouterr().out)["settings"]["guidance"]["weight"] == 1.0


def test_a_filter_reaches_the_search(place, tmp_path, capsys):
    run(f"draw guitar --out {tmp_path}/a.png --json {using(place)}", "--where", "licence = 'cc0'")
    ids = [one["id"] for one in json.loads(capsys.readouterr().out)["consulted"]]
    assert all(i % 2 for i in ids)


def test_like_replaces_the_search(place, tmp_path, capsys):
    run(f"draw guitar --out {tmp_path}/a.png --like {place}/picture.png {using(place)}")
    assert "given" in capsys.readouterr().out


def test_every_answering_verb_answers(place, tmp_path, capsys):
    with_ = using(place)
    run(f"caption {place}/picture.png {with_}")
    run(f"infill {place}/picture.png --box 50,0,100,100 --out {tmp_path}/i.png {with_}")
    run(f"infill_text --picture {place}/picture.png {with_}", "a ___ here")
    like = f"--like {place}/picture.png"
    run(f"edit {place}/picture.png --box 0,0,50,50 {like} --out {tmp_path}/e.png {with_}")
    shots = json.dumps({"X": [f"{place}/source/0.png"], "Y": [f"{place}/source/1.png"]})
    run(f"classify {place}/picture.png {with_}", "--examples", shots)
    (tmp_path / "d.html").write_text(f'<p>one</p><img alt="two" src="{place}/picture.png">')
    run(f"complete {tmp_path}/d.html --out {tmp_path}/c.html {with_}")
    assert (tmp_path / "i.png").exists()
    assert (tmp_path / "e.png").exists()
    assert (tmp_path / "c.html").read_text().startswith('<p>one</p><img alt="two"')
    assert "X\t" in capsys.readouterr().out


def test_a_large_memory_is_indexed_and_searched(place, tmp_path, capsys):
    rows = [json.dumps({"text": f"guitar number{n}"}) for n in range(300)]
    (tmp_path / "many.jsonl").write_text("\n".join(rows))
    clip = f"--clip {place}/system/clip"
    run(f"memory build {tmp_path}/m {tmp_path}/many.jsonl {clip}")
    indexed = "--retriever.search indexed --retriever.strategy bm25"
    failing(f"memory search {tmp_path}/m guitar {indexed} {clip}", "has no index text_idx", capsys)
    run(f"memory index {tmp_path}/m --json")
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["documents"] == 300
    assert told["found"] > 0.9
    run(f"memory search {tmp_path}/m number217 --count 1 {indexed} --json {clip}")
    assert json.loads(capsys.readouterr().out)["hits"][0]["id"] == 217
    run(f"memory index {tmp_path}/m")
    assert "300 documents indexed" in capsys.readouterr().out
    parts = f"{place}/system"
    run(f"assemble {tmp_path}/s --tokenizer {parts}/tokenizer --text {parts}/text {clip} {indexed}",
        "--generators", json.dumps({"racm3": f"{parts}/racm3"}),
        "--rephrasing.between", json.dumps({"near": "beside"}))  # fmt: skip
    assert RACM3.open(tmp_path / "s").parts.rephrasing.between == {"near": "beside"}
    run(f"draw number117 --out {tmp_path}/a.png --json --system {tmp_path}/s --memory {tmp_path}/m")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["consulted"][0]["id"] == 117


def test_stats_count_many_snapshots_instead_of_listing_them(place, tmp_path, capsys):
    shutil.copytree(place / "memory", tmp_path / "m")
    store = MemoryStore.open(tmp_path / "m")
    entries, vectors = store.entries([0]), store.rows([0]).vectors
    for _ in range(9):
        store.add(entries, vectors)
    kept = store.snapshots()
    capsys.readouterr()
    run(f"memory stats {tmp_path}/m")
    assert f"snapshots\t{len(kept)} from {kept[0]} to {kept[-1]}\n" in capsys.readouterr().out
    run(f"memory stats {tmp_path}/m --json")
    assert json.loads(capsys.readouterr().out)["snapshots"] == kept


def test_an_answer_asks_the_index_of_whatever_memory_has_one(place, tmp_path, capsys):
    rows = [json.dumps({"text": f"guitar {n}", "tags": f"tag{n}"}) for n in range(300)]
    (tmp_path / "many.jsonl").write_text("\n".join(rows))
    run(f"memory build {tmp_path}/m {tmp_path}/many.jsonl --clip {place}/system/clip")
    parts = RACM3.open(place / "system").parts
    words = replace(parts.retriever, strategy="bm25", columns=("tags",))
    save_parts(replace(parts, retriever=words), tmp_path / "s")
    draw = f"draw tag217 --out {tmp_path}/a.png --json --system {tmp_path}/s --memory {tmp_path}/m"
    failing(f"{draw} --search indexed", "no index text_idx; make one", capsys)
    run(f"memory index {tmp_path}/m")
    failing(f"{draw} --search indexed", "no index tags_idx", capsys)
    failing(f"memory index {tmp_path}/m --columns licence", "the metadata has no column", capsys)
    run(f"memory index {tmp_path}/m --columns tags")
    capsys.readouterr()
    for search in ("exact", "indexed"):
        run(f"{draw} --search {search}")
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert told["consulted"][0]["id"] == 217


def test_a_system_and_one_that_went_on_from_it_are_averaged(place, tmp_path, capsys):
    run(f"average {place}/system {place}/system {tmp_path}/mean --share 0.3")
    assert capsys.readouterr().out.strip() == f"{tmp_path}/mean"
    run(f"draw guitar --out {tmp_path}/a.png --system {tmp_path}/mean --memory {place}/memory")
    broken = tmp_path / "mean" / "racm3" / "model.safetensors"
    broken.write_bytes(broken.read_bytes()[:500])
    line = f"average {place}/system {tmp_path}/mean {tmp_path}/other"
    failing(line, "cannot be opened", capsys)
    assert not (tmp_path / "other").exists()
    failing(f"average sample {place}/system {tmp_path}/other", "tokenizers of their own", capsys)


@pytest.mark.parametrize(
    "line", ["draw x --seed 3", "memory search m x --count 2", "study list", "many draw a --out b"]
)
def test_a_command_line_is_read_as_the_parser_of_every_verb_reads_it(line):
    parser = build_parser()
    parsed = parser.instantiate(parser.parse_args(line.split()))
    options = parsed[parsed.verb]
    _, read = parse(line.split())
    assert read == (options[options.what] if "what" in options else options)


def test_a_memory_is_searched_by_its_metadata(place, tmp_path, capsys):
    rows = [{"text": f"thing {n}", "tags": "spooky" if n == 3 else "plain"} for n in range(6)]
    rows[5]["also"] = "settee, fire truck"
    (tmp_path / "few.jsonl").write_text("\n".join(map(json.dumps, rows)))
    clip = f"--clip {place}/system/clip"
    run(f"memory build {tmp_path}/m {tmp_path}/few.jsonl {clip}")
    capsys.readouterr()
    words = "--retriever.strategy bm25 --retriever.columns"
    run(f"memory search {tmp_path}/m spooky --count 1 --json {clip} {words}", '["tags"]')
    assert json.loads(capsys.readouterr().out)["hits"][0]["id"] == 3
    words = "--retriever.strategy bm25 --retriever.aliases"
    run(
        f"memory search {tmp_path}/m",
        "a fire truck",
        "--json",
        *clip.split(),
        *words.split(),
        '["also"]',
    )
    assert json.loads(capsys.readouterr().out)["hits"][0]["id"] == 5


def test_a_clip_multiplies_as_is_asked_for(place, tmp_path):
    made = {}
    for precision in ("fp32", "bf16"):
        memory, clip = tmp_path / precision, f"--clip {place}/system/clip --precision {precision}"
        run(f"memory build {memory} {place}/source {clip}")
        MemoryStore.open(memory).remove([5])
        run(f"memory add {memory} {place}/source --again {clip}")
        made[precision] = MemoryStore.open(memory).table().vectors
    one, other = made.values()
    assert (one != other).any(axis=1).all(), "the build's, and what was added"
    assert (one * other).sum(axis=1).min() > 0.999


def test_a_large_photograph_is_kept_whole_and_read_at_half_its_size(place, tmp_path, capsys):
    photograph = PIL.effect_noise((2600, 2100), 60).convert("RGB")
    (tmp_path / "photos").mkdir()
    photograph.save(tmp_path / "photos" / "noise.jpg")
    clip = f"--clip {place}/system/clip"
    run(f"memory build {tmp_path}/m {tmp_path}/photos {clip}")
    store = MemoryStore.open(tmp_path / "m")
    (entry,) = store.entries([0])
    (image,) = entry.document.images
    assert (image.width, image.height) == (1300, 1050)
    assert image.encoded == (tmp_path / "photos" / "noise.jpg").read_bytes()
    assert store.table().groups == [image.digest()]
    run(f"memory show {tmp_path}/m 0 --out {tmp_path}/s.png")
    assert "pictures\t2600x2100" in capsys.readouterr().out
    assert Image.read(tmp_path / "s.png").width == 2600
    # Whose pixels are counted is read whole, as the mask that belongs to it.
    PIL.new("L", photograph.size, 255).save(tmp_path / "mask.jpg")
    PIL.new("L", photograph.size, 255).save(tmp_path / "mask.png")
    for mask in ("mask.png", "mask.jpg"):
        masked = f"{tmp_path}/photos/noise.jpg --box {tmp_path}/{mask} --out {tmp_path}/i.png"
        run(f"infill {masked} {using(place)}")
        assert Image.read(tmp_path / "i.png").width == 16


def test_the_memory_verbs(place, tmp_path, capsys):
    shutil.copytree(place / "memory", tmp_path / "m")
    clip = f"--clip {place}/system/clip"
    run(f"memory search {tmp_path}/m guitar --count 3 --json {clip}")
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert len(hits) >= 1
    run(f"memory search {tmp_path}/m guitar --count 1 --retriever.strategy bm25 --json {clip}")
    assert "guitar" in json.loads(capsys.readouterr().out)["hits"][0]["text"]
    run(f"memory show {tmp_path}/m {hits[0]['id']} --out {tmp_path}/s.png")
    assert hits[0]["text"] in capsys.readouterr().out
    run(f"memory search {tmp_path}/m --json {clip} --picture {tmp_path}/s.png", "")
    near = json.loads(capsys.readouterr().out)["hits"]
    assert near[0]["id"] == hits[0]["id"], "what is most like a picture is no near-copy to skip"
    failing(f"memory index {tmp_path}/m", "6 documents are searched at once", capsys)
    run(f"memory remove {tmp_path}/m --ids {hits[0]['id']}")
    run(f"memory verify {tmp_path}/m")
    assert "5 documents, nothing wrong" in capsys.readouterr().out
    run(f"memory add {tmp_path}/m {place}/source {clip}")
    said = capsys.readouterr().out
    assert "0 documents added, 5 were there already" in said
    assert "1 were removed once and stay so; --again adds them" in said
    run(f"memory add {tmp_path}/m {place}/source --again {clip}")
    assert "1 documents added, 5 were there already" in capsys.readouterr().out
    run(f"memory stats {tmp_path}/m --json")
    stats = json.loads(capsys.readouterr().out)
    assert (stats["documents"], stats["next_id"]) == (6, 7)


def test_own_vectors_need_no_encoder(place, tmp_path, capsys):
    vectors = np.eye(6, 8, dtype=np.float32)
    np.save(tmp_path / "v.npy", vectors)
    run(f"memory build {tmp_path}/m {place}/source --vectors {tmp_path}/v.npy")
    assert "6 documents added" in capsys.readouterr().out
    np.save(tmp_path / "few.npy", vectors[:4])
    failing(f"memory build {tmp_path}/n {place}/source --vectors {tmp_path}/few.npy",
            "only 4 vectors", capsys)  # fmt: skip


def test_a_memory_that_another_clip_made_is_refused_by_all_who_ask_it(place, tmp_path, capsys):
    np.save(tmp_path / "v.npy", np.eye(6, 8, dtype=np.float32))
    memory, system = tmp_path / "m", place / "system"
    run(f"memory build {memory} {place}/source --vectors {tmp_path}/v.npy")
    for line in (
        f"memory search {memory} guitar --clip {system}/clip",
        f"memory add {memory} {place}/source --clip {system}/clip",
        f"prepare {memory} --out {tmp_path}/p --system {system}",
        f"draw guitar --system {system} --memory {memory}",
    ):
        failing(line, "holds vectors of 8 numbers made by", capsys)


def test_from_a_collection_to_a_trained_system(place, tmp_path, capsys):
    """README's own-collection journey, at toy size; then plain CM3 and fine-tuning from it."""
    out, source = tmp_path, place / "source"
    short = "--training.steps 2 --loop.steps 2"
    run(f"train tokenizer {source} --out {out}/tok --model.side 16 --model.patch 2 "
        f"--model.widths [8,16] --model.codes 32 --batch 4 {short}")  # fmt: skip
    run(f"train clip {source} --out {out}/clip --training.side 16 --training.patch 8 "
        f"--training.width 48 --training.layers 1 --training.dim 16 --batch 4 {short}")  # fmt: skip
    run(f"train text {source} --out {out}/text --size 300")
    run(f"memory build {out}/memory {source} --clip {out}/clip/final")
    with pytest.raises(SystemExit):
        run(f"assemble {out}/system --tokenizer {out}/tok/final --text {out}/text")
    run(f"assemble {out}/parts --tokenizer {out}/tok/final --text {out}/text "
        f"--clip {out}/clip/final --generators {{}}")  # fmt: skip
    run(f"prepare {out}/memory --out {out}/prepared --system {out}/parts")
    before = Prepared.open(out / "prepared")
    run(f"prepare {out}/memory --out {out}/unseen --system {out}/parts --documents {source}")
    unseen = Prepared.open(out / "unseen")
    assert all(row not in unseen.neighbours[row] for row in range(6))
    run(f"memory remove {out}/memory --ids 2")
    assert len(Prepared.open(out / "unseen").documents) == 6
    after = Prepared.open(out / "prepared")
    assert after.about["ids"] == [0, 1, 3, 4, 5]
    assert [after.memory[row] for row in (1, 2)] == [before.memory[row] for row in (1, 3)]
    for row, old in enumerate((0, 1, 3, 4, 5)):
        named = before.neighbours[old]
        ids = [after.about["ids"][n] if n >= 0 else -1 for n in after.neighbours[row].ravel()]
        assert ids == [n if n != 2 else -1 for n in named.ravel()]
    rows = "--stream.rows 2 --stream.length 120"
    size = "--model.width 16 --model.depth 1 --model.heads 2"
    run(f"train generator {out}/prepared --out {out}/cm3 --system {out}/parts {rows} {size} "
        f"--stream.neighbours none {short}")  # fmt: skip
    run(f"train generator {out}/prepared --out {out}/alike --system {out}/parts {rows} {size} "
        f"--stream.neighbours none --codes_alike true {short}")  # fmt: skip
    plain, alike = (
        open_generator(out / name / "final").embed_tokens.weight for name in ("cm3", "alike")
    )
    codes = Prepared.open(out / "prepared").about["text_size"] + np.arange(32)
    assert (plain - alike).norm(dim=1)[codes].min() > 10 * (plain - alike).norm(dim=1)[:256].max()
    run(f"train generator {out}/prepared --out {out}/ra --system {out}/parts {rows} "
        f"--start_from {out}/cm3/final --validation {out}/unseen {short}")  # fmt: skip
    assert '"validation"' in (out / "ra" / "log.jsonl").read_text()
    live = f"train generator {out}/prepared --out {out}/live --system {out}/parts {rows} {size}"
    run(f"{live} {short} --live {out}/memory")
    assert (out / "live" / "final").exists()
    wrong = live.replace(f"{out}/prepared", f"{out}/unseen").replace(f"{out}/live", f"{out}/x")
    failing(f"{wrong} {short} --live {out}/memory", "was not made of", capsys)
    both = json.dumps({"racm3": f"{out}/ra/final", "cm3": f"{out}/cm3/final"})
    run(f"assemble {out}/system --tokenizer {out}/tok/final --text {out}/text "
        f"--retriever.strategy hybrid --clip {out}/clip/final --memory {out}/memory "
        "--sizes [1.0,0.5] --generators", both)  # fmt: skip
    assert RACM3.open(out / "system").voice.sizes == (1.0, 0.5)
    assert RACM3.open(out / "system").parts.retriever.strategy == "hybrid"
    assert len(RACM3.open(out / "system").parts.shelf) == 5
    run(f"draw guitar --out {out}/a.png --system {out}/system")
    assert (out / "a.png").exists()
    run(f"export {out}/qwen --system {out}/system")
    assert json.loads((out / "qwen" / "config.json").read_text())["model_type"] == "qwen3"


def test_many_are_drawn_described_and_judged(place, tmp_path, capsys):
    """What was drawn is itself a source, and each picture the one that is drawn alone."""
    with_ = f"{using(place)} --candidates 2 --seed 3"
    run(f"many draw {place}/source --out {tmp_path}/drawn {with_}")
    told = capsys.readouterr()
    assert told.out == f"{tmp_path}/drawn/answers.jsonl\n"
    assert told.err.startswith("6 answers in ")
    run(f"many caption {tmp_path}/drawn --out {tmp_path}/said {with_}")
    rows = [json.loads(line) for line in (tmp_path / "said/answers.jsonl").read_text().splitlines()]
    sources = (place / "source/captions.jsonl").read_text().splitlines()
    assert [row["references"] for row in rows] == [[json.loads(s)["caption"]] for s in sources]
    run(f"draw --out {tmp_path}/a.png --candidates 2 --seed 4 {using(place)}", "a guitar")
    assert Image.read(tmp_path / "a.png") == Image.read(tmp_path / "drawn/000001.png")
    run(f"evaluate captions {tmp_path}/said/answers.jsonl")
    assert "cider-d: " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(f"many draw {place}/source --out {tmp_path}/drawn {using(place)}")
    assert "was begun with" in capsys.readouterr().err


def test_a_system_is_judged_on_documents_of_ones_own(place, tmp_path, capsys):
    line = f"evaluate documents {place}/source --count 4 --out {tmp_path}/judged {using(place)}"
    run(f"{line} --tables table4 table6")
    written = (tmp_path / "judged" / "evaluation.md").read_text()
    assert capsys.readouterr().out.endswith("evaluation.md\n")
    assert "nothing was trained" in written
    # Every document lies in the memory, and the guard says so.
    assert "Of 4 unseen documents the memory shows already: 4 by picture, 4 by text" in written
    rows = json.loads((tmp_path / "judged" / "evaluation.json").read_text())["tables"]
    assert {"K = 0", "K = 8"} <= set(rows["table6"]["rows"])
    assert rows["table4"]["rows"]["whole documents"]["recall by text"]["count"] == 4
    failing(line.replace("--count 4", "--count 3"), "measured with another budget", capsys)


@pytest.mark.parametrize("features", ["pixels", "clip", "image-tokenizer"])
def test_a_set_of_pictures_is_no_way_from_itself(place, tmp_path, capsys, features):
    for i in range(12):
        (tmp_path / f"{i}.png").write_bytes(picture(i).png())
    run(f"evaluate pictures {tmp_path} {tmp_path} --features {features} --json {using(place)}")
    scores = json.loads(capsys.readouterr().out)
    (distance,) = [v for k, v in scores.items() if k.startswith("frechet[")]
    assert distance["value"] == pytest.approx(0, abs=1e-5)
    assert scores["pictures"] == [12, 12]


def test_captions_are_scored(tmp_path, capsys):
    said = [
        {"caption": "a red boat on the sea", "references": ["a red boat on the sea", "a boat"]},
        {"caption": "two dogs", "references": ["a house in a green field"]},
    ]
    (tmp_path / "said.jsonl").write_text("\n".join(map(json.dumps, said)))
    run(f"evaluate captions {tmp_path}/said.jsonl --json")
    scores = json.loads(capsys.readouterr().out)
    assert set(scores) == {"cider-d", "cider", "bleu-4", "rouge-l"}
    assert scores["bleu-4"]["value"] == pytest.approx(0.5, abs=1e-6)
    run(f"evaluate captions {tmp_path}/said.jsonl")
    assert "cider-d: " in capsys.readouterr().out
    for bad in ('{"caption": "x"}', "", '{"caption": "x", "references": "y"}', "{"):
        (tmp_path / "bad.jsonl").write_text(bad)
        line = f"evaluate captions {tmp_path}/bad.jsonl"
        failing(line, "needs a caption and its references", capsys)


def test_pictures_are_not_compared_where_there_are_none(tmp_path, capsys):
    (tmp_path / "page.md").write_text("Words alone.")
    line = f"evaluate pictures {tmp_path} {tmp_path} --features pixels"
    failing(line, "there is no picture in", capsys)


def test_what_goes_on_and_what_begins_are_not_mixed_up(tmp_path, capsys):
    line = f"train sample --out {tmp_path} --recipe"
    failing(f"{line} further_cpu", "say which with --after", capsys)
    failing(f"{line} tiny --after {tmp_path}", "starts from nothing", capsys)
    failing(f"{line} tiny_course --after {tmp_path}", "there is no system at", capsys)
    run(f"{line} tiny_course --after sample --stage clip")
    ours, taken = ((where / "model.safetensors").read_bytes() for where in
                   (sample_folder() / "clip", tmp_path / "clip" / "final"))  # fmt: skip
    assert ours == taken


def failing(line: str, words: str, capsys, *more: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(line, *more)
    error = capsys.readouterr().err
    assert stopped.value.code != 0
    assert words in error, error
    assert "Traceback" not in error


BROKEN = [
    ("draw  {using}", "caption", ("",)),
    ("draw guitar --system {place}/nothing", "there is no system", ()),
    ("draw guitar --memory {place}/nothing --system {place}/system", "there is no memory", ()),
    ("draw guitar --generator dalle {using}", "no generator 'dalle'", ()),
    ("draw guitar {using} --device cuda:9", "no CUDA card", ()),
    ("draw guitar --documents -1 {using}", "documents is at least 0", ()),
    ("draw guitar --documents some {using}", "documents", ()),
    ("draw guitar --sampling.top_p 3 {using}", "top_p 3.0 does not lie", ()),
    ("draw guitar --colour red {using}", "colour", ()),
    ("draw guitar {using} --where", "cannot be used", ("nope = 1",)),
    ("draw guitar --out {place}/a.jpg {using}", "a.jpg would be a PNG file; give a name", ()),
    (
        "edit {place}/picture.png --box 0,0,50,50 --like {place}/picture.png --out {place} {using}",
        "would be a PNG file; give a name",
        (),
    ),
    ("draw guitar --out {place}/picture.png/a.png {using}", "racm3: File exists: /", ()),
    ("caption {place}/broken.png {using}", "cannot be read as a picture", ()),
    ("caption {place}/nothing.png {using}", "cannot read the picture", ()),
    ("infill {place}/picture.png --box 9,9 {using}", "cannot read the picture 9,9", ()),
    ("infill {place}/picture.png --box a,b,c,d {using}", "not left,top,right,bottom", ()),
    ("infill {place}/picture.png --box 50,0,40,100 {using}", "is empty or leaves", ()),
    ("complete {place}/nothing.html {using}", "cannot read the document", ()),
    ("memory build {place}/memory {place}/source", "already; use `racm3 memory add`", ()),
    ("memory build {place}/new {place}/nothing", "there is nothing at", ()),
    ("memory add {place}/memory {place}/source --vectors v.npy --tolerate 1", "another one", ()),
    ("memory add {place}/memory {place}/source --vectors v.npy --precision bf16", "none does", ()),
    ("memory search {place}/memory", "the document is empty", ("",)),
    ("memory search {place}/memory x --retriever.columns", "its columns are", ('["tags"]',)),
    ("memory remove {place}/memory", "either --ids or --where", ()),
    ("memory remove {place}/memory --ids 99", "there is no document 99", ()),
    ("memory show {place}/memory 99", "there is no document 99", ()),
    ("memory verify {place}/nothing", "there is no memory", ()),
    ("prepare {place}/nothing --out {place}/p", "there is no memory", ()),
    ("train sample --recipe huge --out {place}/r", "there is no recipe 'huge'", ()),
    ("export {place}/x --system {place}/nothing", "there is no system", ()),
    ("evaluate pictures {place}/memory {place}/memory {using}", "holds no pictures", ()),
]


@pytest.mark.parametrize(("line", "words", "more"), BROKEN, ids=[b[0][:40] for b in BROKEN])
def test_broken_input_gets_one_clear_sentence(place, capsys, line, words, more):
    failing(line.format(place=place, using=using(place)), words, capsys, *more)


def leaves(verbs: dict, before: tuple[str, ...] = ()):
    for name, verb in verbs.items():
        if isinstance(verb, dict):
            yield from leaves(verb, (*before, name))
        else:
            yield (*before, name)


@pytest.mark.parametrize("verb", list(leaves(VERBS)), ids=" ".join)
def test_help_teaches_every_option(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*verb, "--help"])
    assert stopped.value.code == 0
    said, shown = VERBS, " ".join(capsys.readouterr().out.split())
    for name in verb:
        said = said[name]
    before, _, _ = inspect.getdoc(said).partition("Args:")
    assert "usage: racm3" in shown
    # Words are broken at hyphens where a line ends.
    assert " ".join(before.split()).replace("- ", "-") in shown.replace("- ", "-")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("/usr/bin/racm3", "racm3 evaluate sample --count 3"),
        ("/site-packages/racm3/__main__.py", "racm3 evaluate sample --count 3"),
        ("/site-packages/pytest/__main__.py", "racm3"),
    ],
)
def test_a_report_names_the_command_that_made_it(monkeypatch, program, said):
    monkeypatch.setattr("sys.argv", [program, *["evaluate", "sample", "--count", "3"]])
    assert evaluate._command() == said
