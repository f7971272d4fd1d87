import numpy as np
import pytest
import torch

from racm3.data.sample_world.corpus import scenes
from racm3.data.sample_world.scenes import Scene
from racm3.data.sample_world.things import held_out_things, things
from racm3.document import Document, Image
from racm3.evaluation import sample_parts
from racm3.evaluation.fidelity import faithful, nearest_things
from racm3.evaluation.perplexity import document_losses, look_up
from racm3.evaluation.recall import recalled
from racm3.evaluation.report import mean, perplexity, share, table
from racm3.evaluation.sample_parts import psnr
from racm3.evaluation.sample_tasks import faithfully_kept
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.retriever import Retriever
from racm3.tokens.codec import Kind
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.placing import Placing
from racm3.training.generator import evaluating
from racm3.training.generator import perplexity as training_perplexity
from racm3.training.objective import batch
from tests.conftest import picture


@pytest.mark.parametrize("each", [1, 2])
def test_the_true_drawing_is_faithful_and_another_things_is_not(each):
    for scene, document in scenes(held_out_things(), 8, seed=4, things_each=each):
        assert faithful(document.images[0], scene)
        other = scene.showing(*[things()[7]] * each)
        assert not faithful(other.draw(), scene)
        blurred = Image(document.images[0].pixels // 16 * 16)
        assert faithful(blurred, scene), "a little loss of colour must not change the verdict"


def test_chance_is_one_in_as_many_as_there_are_things():
    scene, _ = scenes(held_out_things(), 1, seed=4, things_each=1)[0]
    noise = np.random.default_rng(0)
    rows = {nearest_things(Image(noise.integers(0, 256, (64, 64, 3), np.uint8)), scene)[0]
            for _ in range(5)}  # fmt: skip
    assert rows <= set(range(len(things())))


def test_losses_are_the_models_own(system):
    """Against the training side's perplexity of the same packed documents."""
    documents = system.parts.shelf.documents(range(4))
    for kind, name in ((Kind.IMAGE, "image"), (Kind.TEXT, "text")):
        losses = document_losses(system.voice, documents, [[]] * 4, kind)
        ours = perplexity(losses.losses, losses.counts).value
        assert ours == pytest.approx(_reference(system, documents)[f"{name}_perplexity"], rel=1e-4)


def test_hidden_losses_are_those_of_training_with_the_whole_picture_hidden(system):
    documents = system.parts.shelf.documents(range(4))
    losses = document_losses(system.voice, documents, [[]] * 4, Kind.IMAGE, hidden=True)
    ours = perplexity(losses.losses, losses.counts).value
    reference = _reference(system, documents, hidden=1.0)["image_perplexity"]
    assert ours == pytest.approx(reference, rel=1e-4)
    assert ours != pytest.approx(_reference(system, documents)["image_perplexity"], rel=1e-3)


def test_a_random_document_comes_before_the_right_one_or_behind_it(system, monkeypatch):
    """What is read before each scene, and that none of its codes is."""
    read = []

    def spy(voice, documents, shown, kind, *, hidden=False):
        read.append([[one.text for one in before] for before in shown])
        assert kind is Kind.IMAGE
        assert hidden
        return document_losses(voice, documents, shown, kind, hidden=hidden)

    monkeypatch.setattr(sample_parts.perplexity, "document_losses", spy)
    documents = system.parts.shelf.documents(range(4))
    rows = sample_parts.choosing(system, [(Scene(()), document) for document in documents])
    alone, first, second = read
    for right, one, other in zip(alone, first, second, strict=True):
        assert one[:1] == other[1:] == right
        assert one[::-1] == other
    assert [row.measure.rsplit(", ", 1)[1] for row in rows] == [
        "the right document",
        "the right one first",
        "a random one first",
    ]


def _reference(system, documents, *, hidden: float = 0.0) -> dict[str, float]:
    from racm3.tokens.context import context, half_hidden, pack

    vocabulary, rng = system.codec.vocabulary, np.random.default_rng(0)
    samples = [
        half_hidden(context([], segments, vocabulary), hidden, vocabulary, rng)
        for segments in system.codec.encode(documents)
    ]
    packed = batch(pack([samples], 256, Placing(vocabulary, 9)), torch.device("cpu"))
    with evaluating(system.engine.model):
        return training_perplexity(system.engine.model, [packed], vocabulary)


def test_what_is_predicted_is_never_the_query(system):
    retriever, asked = system.library.retriever(), []
    neighbours = retriever.neighbours

    def spy(queries, count, **options):
        asked.extend(queries)
        return neighbours(queries, count, **options)

    retriever.neighbours = spy  # type: ignore[method-assign]
    documents = system.parts.shelf.documents(range(2))
    look_up(retriever, documents, Kind.IMAGE, 2)
    look_up(retriever, documents, Kind.TEXT, 2)
    assert [bool(q.images) for q in asked] == [False, False, True, True]
    assert [bool(q.text) for q in asked] == [True, True, False, False]
    retriever.neighbours = neighbours  # type: ignore[method-assign]


def test_recall_of_the_documents_themselves_is_one(encoder, documents, shelf):
    retriever = Retriever(encoder, shelf, RetrieverConfig())
    assert recalled(retriever, documents, list(range(6)), k=1).all()
    assert not recalled(retriever, documents, [1, 2, 3, 4, 5, 0], k=1).any()
    assert recalled(retriever, [Document.of("x")], [2], k=6).all()


def test_intervals_shrink_with_the_square_root_of_the_count():
    rng = np.random.default_rng(0)
    few, many = (mean(rng.normal(size=n).tolist()) for n in (100, 1600))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.25)
    assert many.low < 0.1
    assert many.high > -0.1
    assert mean([1.0] * 9) == mean([1.0] * 9)


def test_a_share_is_of_the_same_samples():
    whole = [1.0] * 60 + [0.0] * 40
    assert share(whole, whole) == share(whole, whole)
    assert (share(whole, whole).low, share(whole, whole).high) == (1, 1)
    half = [1.0, 0.0] * 30 + [0.0] * 40
    found = share(half, whole)
    assert found.value == 0.5
    # What is common to both is not noise: narrower than a quotient of two independent means.
    apart = share(half, whole[::-1])
    assert found.low < 0.5 < found.high
    assert found.high - found.low < apart.high - apart.low
    assert share([0.0] * 5, [0.0] * 5).value == 0


def test_what_is_said_to_be_kept_is_right_by_its_reconstruction():
    class Pencil(ImageTokenizer):
        """Keeps nothing of pictures whose first pixel is white."""

        def __init__(self):
            self.pictures = []

        def encode(self, pictures):
            self.pictures = pictures
            return np.arange(len(pictures))[:, None]

        def decode(self, codes):
            blank = Image(np.full((64, 64, 3), 128, np.uint8))
            some = [self.pictures[row] for [row] in codes]
            return [blank if (one.pixels[0, 0] == 255).all() else one for one in some]

    things_ = held_out_things()[:8]
    some = [Scene((one,), colour=c) for one in things_ for c in ("white", "blue")]
    kept = faithfully_kept(Pencil(), [(s, Document.of("", s.draw())) for s in some])
    assert all(kept[1::2])
    assert sum(kept[::2]) < 2


def test_perplexity_weighs_documents_by_their_ids():
    found = perplexity(np.array([1.0, 30.0]), np.array([1.0, 10.0]))
    assert found.value == pytest.approx(np.exp(31 / 11))


def test_psnr_of_a_known_error():
    black, grey = (Image(np.full((8, 8, 3), v, dtype=np.uint8)) for v in (0, 51))
    assert psnr(black, grey) == pytest.approx(20 * np.log10(5))
    assert psnr(picture(0), picture(0)) > 90


def test_a_table_is_markdown():
    assert table([{"a": 1, "b": "x"}]).splitlines() == ["| a | b |", "| --- | --- |", "| 1 | x |"]
