"""A codebook that is refined, and the generator that goes on with it."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from racm3.errors import CheckpointError, ConfigError
from racm3.model.growing import with_other_codes
from racm3.tokens.image import ImageTokenizer, to_pixels
from racm3.tokens.vocabulary import Vocabulary
from racm3.tokens.vqgan.growing import detailed, grown, parents
from racm3.tokens.vqgan.model import VQGAN
from racm3.tokens.vqgan.quantizer import Codebook, MovingAverages
from racm3.training.vqgan import PictureBatch, TokenizerLearner, TokenizerTraining
from tests.conftest import TINY_VQGAN, picture, tiny_generator


@pytest.fixture
def vqgan() -> VQGAN:
    torch.manual_seed(3)
    return VQGAN(TINY_VQGAN).eval()


def distances(vqgan: VQGAN, pixels: torch.Tensor) -> torch.Tensor:
    unit = F.normalize(vqgan.features(pixels), dim=1).permute(0, 2, 3, 1).reshape(-1, 4)
    return 1 - (unit @ vqgan.codebook.vectors.T).amax(dim=1)


def test_more_codes_are_nearer_to_pictures_and_nothing_else_changes(vqgan):
    pixels = to_pixels([picture(i) for i in range(24)])
    finer = grown(vqgan, 80, pixels)
    assert finer.config.codes == len(finer.codebook.vectors) == 80
    with torch.inference_mode():
        assert distances(finer, pixels).mean() < 0.5 * distances(vqgan, pixels).mean()
        assert (finer.features(pixels) == vqgan.features(pixels)).all()
    torch.testing.assert_close(finer.codebook.vectors.norm(dim=1), torch.ones(80))


def test_refining_is_a_function_of_its_seed(vqgan):
    pixels = to_pixels([picture(i) for i in range(8)])
    one, same, other = (grown(vqgan, 40, pixels, seed=seed) for seed in (0, 0, 1))
    assert (one.codebook.vectors == same.codebook.vectors).all()
    assert (one.codebook.vectors != other.codebook.vectors).any()


def test_as_many_codes_are_the_same_ones_and_fewer_are_refused(vqgan):
    pixels = to_pixels([picture(0)])
    same = grown(vqgan, 32, pixels)
    assert (same.codebook.vectors == vqgan.codebook.vectors).all()
    with pytest.raises(ConfigError, match="32 codes already"):
        grown(vqgan, 31, pixels)


def test_details_are_nothing_at_first_and_stay_with_their_codes(vqgan):
    codes = torch.arange(32).reshape(2, 4, 4)
    more = detailed(vqgan, 5).eval()
    pixels = to_pixels([picture(i) for i in range(24)])
    with torch.inference_mode():
        torch.testing.assert_close(more.decode(codes), vqgan.decode(codes))
        assert (more.encode(pixels) == vqgan.encode(pixels)).all()
        more.details.weight += torch.randn(32, 5)
        assert (more.decode(codes) - vqgan.decode(codes)).abs().max() > 0.01
    finer = grown(more, 40, pixels)
    assert finer.details is not None
    assert (finer.details.weight[:32] == more.details.weight).all()
    assert torch.isin(finer.details.weight[32:], more.details.weight).all()
    assert detailed(more, 5) is more
    with pytest.raises(ConfigError, match="5 numbers"):
        detailed(more, 4)


def test_a_decoder_that_learns_alone_learns_details(vqgan, tmp_path):
    pixels = to_pixels([picture(i) for i in range(8)])
    more, config = detailed(vqgan, 5), TokenizerTraining(steps=4, decoder_only=True, warmup=1)
    before, codes = more.details.weight.clone(), vqgan.encode(pixels)
    learner = TokenizerLearner(
        more, config, lambda _: PictureBatch(pixels), pixels, torch.device("cpu")
    )
    for step in range(4):
        learner.learn_from(step)
    assert (more.details.weight != before).any()
    assert (more.encode(pixels) == codes).all()
    learner.export(tmp_path)
    opened = ImageTokenizer.open(tmp_path).vqgan
    with torch.inference_mode():
        torch.testing.assert_close(opened.decode(codes), more.decode(codes))


def test_a_parent_stands_where_its_child_stands(vqgan):
    """The same codes in another order, each twice: as numbers and vectors they say nothing."""
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    turned = VQGAN(replace(TINY_VQGAN, codes=64)).eval()
    # Half of the children lie a little aside, so that each of the two stands somewhere.
    aside = F.normalize(vqgan.codebook.vectors[order] + 0.05 * torch.randn(32, 4), dim=1)
    vectors = torch.cat([vqgan.codebook.vectors[order], aside])
    # The encoder is another one, too: every feature has changed its sign.
    turned.load_state_dict({**vqgan.state_dict(), "codebook.vectors": -vectors})
    last = turned.encoder[-1]
    last.weight.data.neg_()
    last.bias.data.neg_()
    batches = [to_pixels([picture(8 * n + i) for i in range(8)]) for n in range(20)]
    found = parents(vqgan, turned, batches)
    used = torch.cat([turned.encode(pixels).flatten() for pixels in batches]).unique()
    assert len(used) > 40
    expected = torch.cat([order, order])
    assert (found[used] == expected[used]).float().mean() > 0.9
    # Nobody stands anywhere: the nearer vector decides.
    twins = VQGAN(TINY_VQGAN)
    twins.load_state_dict(vqgan.state_dict())
    assert parents(vqgan, twins, []).tolist() == list(range(32))


@pytest.mark.parametrize("tied", [False, True])
def test_new_codes_are_read_and_said_as_their_parents(tied):
    vocabulary, finer = Vocabulary(20, 4), Vocabulary(20, 7)
    before = torch.tensor([0, 1, 2, 3, 1, 1, 3])
    model = tiny_generator(len(vocabulary), tied=tied)
    longer = with_other_codes(model, vocabulary.image, before)
    # The same sequence twice: once in old codes, once in children of these and moved markers.
    old = torch.tensor([[24, 3, 19, 20, 21, 23, 21, 24]])
    new = torch.tensor([[27, 3, 19, 20, 24, 26, 25, 27]])
    with torch.inference_mode():
        said, after = model(old), longer(new)
    rows = [*range(20), *(20 + before).tolist(), *range(24, len(vocabulary))]
    assert after.shape[-1] == len(finer) == len(rows)
    torch.testing.assert_close(after, said[..., rows])
    for codes, asked in ((range(20, 99), before), (vocabulary.image, before + 1)):
        with pytest.raises(CheckpointError, match=f"a generator of {len(vocabulary)} ids"):
            with_other_codes(model, codes, asked)


def test_codes_of_a_trained_codebook_are_not_given_away_at_once():
    torch.manual_seed(0)
    dice = torch.Generator().manual_seed(0)
    features = torch.randn(1, 4, 2, 2)
    for trained in (False, True):
        codebook = Codebook(16, 4)
        before, codes = codebook.vectors.clone(), codebook(features).codes
        idle = [code for code in range(16) if code not in codes]
        averages = MovingAverages(codebook, trained=trained)
        averages.update(codebook, features, codes, dice)
        kept = torch.isclose(codebook.vectors[idle], before[idle]).all(dim=1)
        assert kept.all() if trained else not kept.any()
