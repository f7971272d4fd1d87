"""The study: its verdicts against algebra, its harness at toy size, twice."""

import io
import json
import multiprocessing
import re
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from filelock import FileLock

from racm3.data.prepared import Prepared
from racm3.document import Document, Image
from racm3.errors import ConfigError
from racm3.model.export import open_generator
from racm3.recipes.study import plan, report
from racm3.recipes.study.asked import Asked, another, answer
from racm3.recipes.study.learnt import (
    CM3,
    RACM3,
    _material,
    documents_met,
    every_run,
    learn,
    parameters,
    run_of,
    settled,
)
from racm3.recipes.study.rows import FRECHET, Claim
from racm3.recipes.study.tables import TABLES
from racm3.recipes.study.verdicts import METRICS, compare, estimate
from racm3.recipes.study.worlds import photographs, view
from racm3.retrieval.embedding import unit
from racm3.retrieval.shelf import ListShelf
from racm3.sharing import divide
from tests.conftest import picture, unspaced
from tests.recipes.conftest import TOY

LOSSES = np.abs(np.random.default_rng(0).normal(3, 0.5, 60)) * 10


def answers(factor: float) -> dict[str, np.ndarray]:
    return {"image_losses": factor * LOSSES, "image_counts": np.full(60, 10.0)}


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.9, "reproduced"), (1.1, "contradicted"), (1.0, "not resolved")]
)
def test_a_verdict_is_where_the_interval_of_the_ratio_lies(factor, verdict):
    claim = Claim("image perplexity", "one", "other")
    compared = compare(claim, [answers(factor)], [answers(1.0)])
    assert compared.verdict == verdict
    mean = LOSSES.sum() / 600
    assert compared.ratio is not None
    assert compared.ratio.value == pytest.approx(np.exp((factor - 1) * mean), rel=1e-6)
    assert compare(claim, [], [answers(1.0)]).verdict == "not measured"


def test_for_scores_more_is_better():
    low, high = ({"right": np.repeat([0.0, 1.0], counts)} for counts in ([60, 40], [20, 80]))
    claim = Claim("accuracy", "high", "low")
    assert compare(claim, [high], [low]).verdict == "reproduced"
    assert compare(claim, [low], [high]).verdict == "contradicted"


def test_a_distances_interval_holds_the_distance_however_few_pictures_there_are():
    """Repeated pictures lie further from the truth; an interval of them alone would miss it."""
    rng = np.random.default_rng(3)
    real, near, far = (rng.normal(shift, 1, (40, 12)).astype(np.float32) for shift in (0, 0.2, 1.5))
    one, other = ({"features": some, "real_features": real} for some in (near, far))
    for some in (one, other):
        found = estimate([some], FRECHET)
        assert found.low < found.value < found.high
    compared = compare(Claim(FRECHET, "near", "far"), [one], [other])
    assert compared.verdict == "reproduced"
    assert compared.ratio is not None
    assert compared.ratio.low < compared.ratio.value < compared.ratio.high


def test_bits_are_shared_among_the_values_of_the_pictures():
    found = {"image_losses": np.full(5, 48 * np.log(2)), "image_values": np.full(5, 3 * 4 * 4)}
    assert estimate([found], "image bits per dimension").value == pytest.approx(1)


def test_an_estimate_is_the_mean_over_seeds():
    seeds = [answers(0.9), answers(1.1)]
    found = estimate(seeds, "image perplexity")
    each = [np.exp(f * LOSSES.sum() / 600) for f in (0.9, 1.1)]
    assert found.value == pytest.approx(np.mean(each))
    assert found.low < found.value < found.high


def test_an_interval_is_over_seeds_too():
    """Where all documents agree, what is left is which seeds were drawn."""
    even = {"right": np.full(60, 0.2)}, {"right": np.full(60, 0.6)}
    found = estimate(even, "accuracy")
    assert (found.low, found.value, found.high) == pytest.approx((0.2, 0.4, 0.6))
    claim = Claim("accuracy", "one", "other")
    halved = [{"right": one["right"] / 2} for one in even]
    paired = compare(claim, even, halved)
    assert paired.ratio is not None
    # The same seeds are drawn on both sides, so what a seed does to both cancels.
    assert (paired.ratio.low, paired.ratio.high) == pytest.approx((2, 2))
    assert paired.seeds == pytest.approx((2, 2))
    crossed = compare(claim, even, [{"right": np.full(60, value)} for value in (0.4, 0.3)])
    assert crossed.verdict == "not resolved"
    assert crossed.seeds == pytest.approx((0.5, 2))
    assert "by seed 0.5, 2" in report.sentences([crossed])


def test_no_two_questions_share_a_folder():
    asked = {a for table in TABLES.values() for row in table.rows for a in row.asked}
    learnt = {a.learnt for a in asked if a.learnt}
    assert len({a.key for a in asked}) == len(asked)
    assert len({one.key for one in learnt}) == len(learnt)
    assert len(every_run([RACM3, CM3, RACM3], replace(TOY, seeds=(0, 1)))) == 4


def test_every_claim_is_about_rows_and_metrics_of_its_table():
    for table in TABLES.values():
        labels = {row.label for row in table.rows}
        assert set(table.metrics) <= set(METRICS)
        for claim in table.claims:
            assert {claim.better, claim.worse} <= labels
            assert claim.metric in table.metrics


def told(tables, world, budget, folder: Path, out: Path) -> Path:
    return report.write(
        tables, world, budget, folder, out, name="study-tiny", about={"command": "x"}
    )


SOME = (
    "table2", "table3", "table4", "table5-relevance", "table6", "figure8", "finetune", "memory",
    "equal-documents",
)  # fmt: skip


def test_the_whole_harness_made_twice_is_the_same(world, tmp_path):
    tables = plan.chosen(SOME, TOY)
    texts = []
    for name in ("one", "two"):
        said: list[str] = []
        folder, out = tmp_path / name, tmp_path / f"{name}-results"
        plan.run(tables, world, TOY, folder, tell=said.append)
        written = told(tables, world, TOY, folder, out)
        texts.append(written.read_text() + (out / "study-tiny.json").read_text())
        assert said[0].startswith("run 1 of 5")
        asked = "4 unseen documents, 3 of them drawn or described; 2 few-shot episodes for every k."
        assert asked in texts[-1]
        assert (out / "study-tiny-table6.png").exists()
        assert Image.read(out / "study-tiny-table2-drawn.png").width > 300
    assert texts[0] == texts[1]
    stored = tmp_path / "one-results" / "study-tiny.json"
    verdicts = [
        v for one in json.loads(stored.read_text())["tables"].values() for v in one["claims"]
    ]
    assert len(verdicts) == sum(len(table.claims) for table in tables)
    assert "not measured" not in {one["verdict"] for one in verdicts}
    (counted,) = re.findall(r"Orders that the papers claim: (.*)\.\*\*", texts[0])
    theirs = sum(len(table.claims) for table in tables if not table.ours)
    assert sum(map(int, re.findall(r"\d+", counted))) == theirs < len(verdicts)
    short = report.summary({"here": [stored], "there": [stored]})
    assert re.search(r"\| RA-CM3 before CM3: frechet\[.*\] \| 0.53 \| [✓?✗] \d.* \| [✓?✗] ", short)
    assert "✓ reproduced, ? not resolved, ✗ contradicted" in short
    assert json.loads(stored.read_text())["identity"]["memory"] == world.open_memory.snapshot_name
    (counts,) = re.findall(r"\| RA-CM3, Table 6: Number of documents \|  \| ([^|]+) \|", short)
    assert sum(map(int, re.findall(r"\d", counts))) == 3
    assert "| ours: As many updates, or as many documents met |" in short
    assert short.endswith("- there: `x`")
    longer = json.loads(stored.read_text()) | {"command": "y"}
    longer["tables"] = {"table6": longer["tables"]["table6"]}
    for claim in longer["tables"]["table6"]["claims"]:
        claim["verdict"] = "not measured"
    (tmp_path / "longer.json").write_text(json.dumps(longer))
    both = report.summary({"here": [stored, tmp_path / "longer.json"]})
    assert "| RA-CM3, Table 6: Number of documents |  | 3 · |" in both
    assert both.splitlines()[2] == re.sub(r" \|[^|]*\|$", " |", short.splitlines()[2])
    assert both.endswith("- here: `x`, then `y`")
    assert "paper: image perplexity" in texts[0]
    page = (tmp_path / "one-results" / "study-tiny.html").read_text()
    assert page.count("<table>") == texts[0].count("\n| --- |") == len(tables)
    assert "data:image/png;base64," in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_scores_are_given_with_and_without_what_leaks(world, tmp_path):
    known = next(world.open_memory.blocks())
    shelf = ListShelf([*world.open_memory.documents(known.ids.tolist()), world.unseen[0]],
                      np.concatenate([known.vectors, known.vectors[:1]]))  # fmt: skip
    leaky = replace(world, open_memory=shelf, scenes=())
    tables = plan.chosen(["table6"], TOY)
    plan.run(tables, leaky, TOY, tmp_path / "runs", tell=lambda _: None)
    written = told(tables, leaky, TOY, tmp_path / "runs", tmp_path)
    stored = json.loads((tmp_path / "study-tiny.json").read_text())["tables"]["table6"]["rows"]
    whole, rest = (stored["K = 2"][f"image perplexity{end}"] for end in ("", ", unleaked"))
    found = answer(Asked(), leaky, TOY, tmp_path / "runs")
    kept = np.exp(found["image_losses"][1:].sum() / found["image_counts"][1:].sum())
    assert rest["value"] == pytest.approx(kept)
    assert whole["count"] == rest["count"] + 1
    assert "1 by picture" in written.read_text()


def test_words_ask_with_a_caption_that_the_document_does_not_hold():
    document = Document.of("a cat", picture(0))
    assert another(document, ["a cat", "a small cat"]) == "a small cat"
    assert another(document, ["a cat"]) == "a cat"


def test_the_retrieval_baseline_answers_with_whole_documents_only(world, tmp_path):
    known = next(world.open_memory.blocks())
    whole = world.open_memory.documents(known.ids.tolist())
    asked = Asked(learnt=None, measure="captions")
    halves = [one.only(Image) for one in whole]
    mixed = ListShelf([*halves, whole[0]], np.concatenate([known.vectors, known.vectors[:1]]))
    said = answer(asked, replace(world, open_memory=mixed), TOY, tmp_path / "mixed")
    only = ListShelf([whole[0]], known.vectors[:1])
    right = answer(asked, replace(world, open_memory=only), TOY, tmp_path / "only")
    assert said["rouge-l"].tolist() == right["rouge-l"].tolist()
    poor = ListShelf(halves, known.vectors)
    with pytest.raises(ConfigError, match="both a text and a picture"):
        answer(asked, replace(world, open_memory=poor), TOY, tmp_path / "poor")


def test_a_folder_holds_what_was_measured_with_one_system(world, tmp_path):
    """Whatever answers depend on may not change between two runs."""
    retriever, codec = world.retriever, world.codec
    others = {
        "text tokenizer": replace(world, codec=replace(codec, text=unspaced(codec.text))),
        "retriever": replace(world, retriever=replace(retriever, too_similar=0.8)),
        "evaluation documents": replace(world, unseen=world.unseen[1:]),
    }
    plan.claim(tmp_path, world, TOY)
    plan.claim(tmp_path, world, replace(TOY, seeds=(0, 1)))
    for name, other in others.items():
        with pytest.raises(ConfigError, match=f"measured with another {name};"):
            plan.claim(tmp_path, other, TOY)


def test_what_was_answered_is_not_asked_again(world, tmp_path, monkeypatch):
    asked = Asked(measure="recall", learnt=None)
    first = answer(asked, world, TOY, tmp_path)
    monkeypatch.setattr("racm3.recipes.study.asked.MEASURES", {})
    second = answer(asked, world, TOY, tmp_path)
    assert {k: v.tolist() for k, v in first.items()} == {k: v.tolist() for k, v in second.items()}


def test_a_finished_systems_generators_are_asked_and_nothing_is_trained(world, tmp_path):
    asked = replace(TOY, steps=0)
    for name, one in (("racm3", RACM3), ("cm3", CM3)):
        learn(one, world, TOY, tmp_path / name)
    models = {
        n: learn(one, world, TOY, tmp_path / n) for n, one in (("racm3", RACM3), ("cm3", CM3))
    }
    lending = replace(world, trained=models)
    tables = plan.chosen(["table6"], asked)
    plan.run(tables, lending, asked, tmp_path / "asked", tell=lambda _: pytest.fail("trained"))
    assert not (tmp_path / "asked" / "runs").exists()
    one, other = (answer(Asked(), world, TOY, tmp_path / "racm3"),
                  answer(Asked(), lending, asked, tmp_path / "asked"))  # fmt: skip
    assert one["image_losses"].tolist() == other["image_losses"].tolist()
    written = report.write(
        tables,
        lending,
        asked,
        tmp_path / "asked",
        tmp_path,
        name="study-tiny",
        about={"command": "x"},
    )
    assert "nothing was trained for this. 4 unseen documents. 95%" in written.read_text()
    with pytest.raises(ConfigError, match="table5-alpha compares generators that a finished"):
        plan.chosen(["table5-alpha"], asked)
    assert {"table2", "figure8"} < {one.name for one in plan.chosen([], asked)}


def test_runs_that_are_the_same_have_one_name(world):
    usual = replace(TOY, scales=((TOY.width, TOY.depth), (16, 1)))
    again = replace(RACM3, scale=0, dropout=world.retriever.query_dropout)
    assert settled(again, world, usual) == RACM3
    assert (
        settled(replace(RACM3, scale=1, dropout=0.0), world, usual).key
        == "dropout=0.0-scale=1-seed=0"
    )


def test_figure_nine_stands_at_the_sizes_that_were_trained(world, tmp_path):
    one = replace(RACM3, scale=1)
    trained = sum(p.numel() for p in learn(one, world, TOY, tmp_path).parameters())
    assert parameters(one, world, TOY) == trained
    lent = replace(TOY, pretrain=1, scales=((TOY.width, TOY.depth),))
    assert settled(replace(RACM3, scale=0), replace(world, base=tmp_path), lent).scale == 0


def test_cm3_can_be_stopped_where_it_has_met_as_many_documents(world, tmp_path):
    some = replace(TOY, steps=12)
    read, bare = (documents_met(one, world, some, tmp_path) for one in (RACM3, CM3))
    assert read < bare, "what is read takes room"
    equal = replace(CM3, met="documents")
    learn(equal, world, some, tmp_path)
    log = (run_of(equal, tmp_path) / "log.jsonl").read_text().splitlines()
    updates = sum(json.loads(line)["kind"] == "train" for line in log)
    assert updates == round(12 * read / bare) < 12


def test_what_is_learnt_from_may_not_change_between_runs(world, tmp_path):
    learn(CM3, world, TOY, tmp_path)
    some = world.lessons()[0]
    other = replace(world, lessons=lambda: [replace(some, documents=some.documents[::-1])])
    assert len(Prepared.open(_material(RACM3, other, tmp_path)).documents) == len(some.documents)
    with pytest.raises(ConfigError, match="other documents"):
        learn(replace(RACM3, strategy="bm25"), other, TOY, tmp_path)
    learn(replace(RACM3, strategy="bm25"), world, TOY, tmp_path)


def test_every_run_may_start_from_one_short_cm3(world, tmp_path):
    """A pretrained run begins with the weights of a CM3, which is made once."""
    some = replace(TOY, pretrain=1, lr=1e-30)
    learn(RACM3, world, some, tmp_path)
    first = open_generator(tmp_path / "runs" / f"pretrained-{CM3.key}" / "final").state_dict()
    made = open_generator(tmp_path / "runs" / RACM3.key / "final").state_dict()
    assert all(torch.equal(made[name], first[name]) for name in first)
    with pytest.raises(ConfigError, match="every run starts from a CM3"):
        plan.chosen(["finetune"], some)
    lending = replace(world, base=tmp_path / "runs" / RACM3.key / "final")
    learn(CM3, lending, some, tmp_path / "lent")
    assert not list((tmp_path / "lent").glob("runs/pretrained-*"))


def test_a_folder_belongs_to_what_its_answers_depend_on(world, tmp_path):
    """From nothing the generators that a system lends are not used, its codebook is."""
    plan.claim(tmp_path / "new", world, TOY)
    lent = {"cm3": learn(CM3, world, TOY, tmp_path / "cm3")}
    lending = replace(world, trained=lent)
    plan.claim(tmp_path / "new", lending, TOY)
    later = replace(TOY, pretrain=1)
    plan.claim(tmp_path / "later", lending, later)
    with pytest.raises(ConfigError, match="another system"):
        plan.claim(tmp_path / "later", world, later)
    other = deepcopy(world.codec)
    other.image.vqgan.codebook.vectors.neg_()
    with pytest.raises(ConfigError, match="another system"):
        plan.claim(tmp_path / "new", replace(world, codec=other), TOY)
    (table,) = world.open_memory.blocks()
    documents = world.open_memory.documents(table.ids.tolist())
    turned = ListShelf(documents, -table.vectors)
    with pytest.raises(ConfigError, match="another encoder"):
        plan.claim(tmp_path / "new", replace(world, open_memory=turned), TOY)
    asking = replace(world, retriever=replace(world.retriever, unasked=" on red"))
    with pytest.raises(ConfigError, match="another retriever"):
        plan.claim(tmp_path / "new", asking, TOY)


def test_further_seeds_go_on_from_what_was_run(world, tmp_path):
    tables = plan.chosen(["table6"], TOY)
    plan.run(tables, world, TOY, tmp_path, tell=lambda _: None)
    first = (tmp_path / "runs" / RACM3.key / "final" / "model.safetensors").stat().st_mtime_ns
    said: list[str] = []
    more = replace(TOY, seeds=(0, 1))
    plan.run(tables, world, more, tmp_path, tell=said.append)
    assert said == ["run 1 of 2: racm3-seed=0", "run 2 of 2: racm3-seed=1"]
    again = (tmp_path / "runs" / RACM3.key / "final" / "model.safetensors").stat().st_mtime_ns
    assert first == again
    text = told(tables, world, more, tmp_path, tmp_path).read_text()
    assert "Training seeds 0, 1;" in text
    assert "over training seeds and documents" in text
    # A table of which a seed is missing says so and is reported all the same.
    text = told(tables, world, replace(TOY, seeds=(0, 1, 2)), tmp_path, tmp_path).read_text()
    assert "Measured with seed 0, 1 alone; seed 2 was not run." in text
    with pytest.raises(ConfigError, match="table6 has not been measured yet"):
        told(tables, world, replace(TOY, seeds=(2,)), tmp_path, tmp_path)
    with pytest.raises(ConfigError, match="another budget"):
        plan.run(tables, world, replace(more, lr=0.5), tmp_path, tell=lambda _: None)


def work_through(folder: Path) -> None:
    """What one of several processes does: a line into the file of every piece that it makes."""
    for piece in divide(range(8), lambda one: folder / str(one)):
        if not (folder / str(piece)).exists():
            time.sleep(0.05)
            with (folder / str(piece)).open("a") as stream:
                stream.write("made\n")


def test_processes_share_the_work_and_each_piece_is_made_once(tmp_path):
    spawned = multiprocessing.get_context("spawn")
    others = [spawned.Process(target=work_through, args=(tmp_path,)) for _ in range(3)]
    for one in others:
        one.start()
    for one in others:
        one.join()
    assert [one.exitcode for one in others] == [0, 0, 0]
    assert {(tmp_path / str(n)).read_text() for n in range(8)} == {"made\n"}


def test_what_another_process_is_at_comes_last(tmp_path):
    with FileLock(tmp_path / ".1.lock"):
        pieces = divide(range(3), lambda one: tmp_path / str(one))
        assert [next(pieces), next(pieces)] == [0, 2]
    assert list(pieces) == [1]


def test_an_unknown_table_is_named():
    with pytest.raises(ConfigError, match="no table 'table9'; choose among table2"):
        plan.chosen(["table9"], TOY)
    assert "runs in all" in plan.listing([], TOY)


def flickr(folder: Path, split: str, count: int, seed: int) -> None:
    """A few pictures of noise in the layout of the real files."""
    rng = np.random.default_rng(seed)
    rows, ids = [], [f"{split}{i}" for i in range(count)]
    for i, id_ in enumerate(ids):
        with io.BytesIO() as stream:
            picture(seed + i, 20, 20).pil().save(stream, "webp", lossless=True)
            captions = [f"{split} picture {i} said {word}" for word in "abcde"]
            rows.append({"id": id_, "image": stream.getvalue(), "captions": captions})
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}-00.parquet")
    image, texts = rng.normal(size=(count, 8)), rng.normal(size=(count, 5, 8))
    np.savez(
        folder / f"{split}-vectors.npz",
        ids=np.array(ids),
        image=unit(image).astype(np.float16),
        captions=unit(texts.reshape(-1, 8)).reshape(count, 5, 8).astype(np.float16),
    )


def flickrs(data: Path, *, train: int, dev: int) -> Path:
    """Both splits of a small data set."""
    data.mkdir()
    flickr(data, "train", train, 0)
    flickr(data, "dev", dev, 50)
    return data


def test_photographs_are_read_with_the_vectors_that_came_with_them(tmp_path):
    data = flickrs(tmp_path / "data", train=8, dev=4)
    made = photographs(TOY, tmp_path / "parts", data)
    assert [len(some.documents) for some in made.lessons()] == [40]
    assert len(made.unseen) == 4
    assert all(len(some) == 5 for some in made.references)
    tables = plan.chosen(["table2", "table3"], TOY)
    plan.run(tables, made, TOY, tmp_path / "run", tell=lambda words: None)
    written = told(tables, made, TOY, tmp_path / "run", tmp_path)
    stored = json.loads((tmp_path / "study-tiny.json").read_text())
    assert "clipscore" not in stored["tables"]["table2"]["rows"]["RA-CM3"]
    assert "not CLIP" in written.read_text()
    with pytest.raises(ConfigError, match="holds no vector for 'unheard of'"):
        made.encoder.texts(["unheard of"])


def test_every_caption_of_a_photograph_is_learnt_beside_another_view_of_it(tmp_path):
    data = flickrs(tmp_path / "data", train=4, dev=2)
    made = photographs(TOY, tmp_path / "parts", data)
    (lessons,) = made.lessons()
    views = [document.images[0] for document in lessons.documents]
    for row in range(4):
        own = views[row::4]
        assert len({one.digest() for one in own}) == 5
        # The retriever's vectors are finished: every view is found where its photograph is.
        assert len(np.unique(made.encoder.images(own), axis=0)) == 1
        assert own[0] == lessons.memory.documents([row])[0].images[0]


def test_a_view_is_mirrored_only_where_its_caption_knows_no_side():
    ramp = np.tile(np.arange(40, dtype=np.uint8)[None, :, None] * 6, (30, 1, 3))
    picture = Image(np.ascontiguousarray(ramp))

    def rising(said: str) -> list[bool]:
        views = [view(picture, said, np.random.default_rng(seed)) for seed in range(20)]
        assert all(23 <= one.height == one.width <= 30 for one in views)
        return [one.pixels[0, 0, 0] < one.pixels[0, -1, 0] for one in views]

    assert 0 < sum(rising("A dog leftover from lunch jumps .")) < 20
    assert all(rising("A dog on the Left jumps ."))


def test_a_training_document_never_learns_from_its_own_picture(tmp_path):
    data = flickrs(tmp_path / "data", train=8, dev=2)
    made = photographs(TOY, tmp_path / "parts", data)
    prepared = Prepared.open(_material(RACM3, made, tmp_path / "run"))
    for row in range(len(prepared.documents)):
        assert row % 8 not in prepared.neighbours[row]
