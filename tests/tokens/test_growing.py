"""A codebook that is refined, and the generator that goes on with it."""

import pytest
import torch
import torch.nn.functional as F

from racm3.errors import CheckpointError, ConfigError
from racm3.model.growing import with_finer_codes
from racm3.tokens.image import to_pixels
from racm3.tokens.vocabulary import Vocabulary
from racm3.tokens.vqgan.growing import grown
from racm3.tokens.vqgan.model import VQGAN
from racm3.tokens.vqgan.quantizer import Codebook, MovingAverages
from tests.conftest import TINY_VQGAN, picture, tiny_generator


@pytest.fixture
def vqgan() -> VQGAN:
    torch.manual_seed(3)
    return VQGAN(TINY_VQGAN).eval()


def distances(vqgan: VQGAN, pixels: torch.Tensor) -> torch.Tensor:
    unit = F.normalize(vqgan.features(pixels), dim=1).permute(0, 2, 3, 1).reshape(-1, 4)
    return 1 - (unit @ vqgan.codebook.vectors.T).amax(dim=1)


def test_more_codes_are_nearer_to_pictures_and_old_ones_keep_their_numbers(vqgan):
    pixels = to_pixels([picture(i) for i in range(24)])
    finer, parents = grown(vqgan, 80, pixels)
    assert finer.config.codes == len(parents) == 80
    assert parents[:32].tolist() == list(range(32))
    assert parents.max() < 32
    with torch.inference_mode():
        assert distances(finer, pixels).mean() < 0.5 * distances(vqgan, pixels).mean()
        # Nothing but the codebook has changed.
        assert (finer.features(pixels) == vqgan.features(pixels)).all()
        unseen = to_pixels([picture(i) for i in range(100, 124)])
        before, after = vqgan.encode(unseen).flatten(), finer.encode(unseen).flatten()
    # By far the most cells still have a code that comes from the one that they had.
    assert (parents[after] == before).float().mean() > 0.5
    torch.testing.assert_close(finer.codebook.vectors.norm(dim=1), torch.ones(80))


def test_refining_is_a_function_of_its_seed(vqgan):
    pixels = to_pixels([picture(i) for i in range(8)])
    (one, _), (same, _), (other, _) = (grown(vqgan, 40, pixels, seed=seed) for seed in (0, 0, 1))
    assert (one.codebook.vectors == same.codebook.vectors).all()
    assert (one.codebook.vectors != other.codebook.vectors).any()


def test_as_many_codes_are_the_same_ones_and_fewer_are_refused(vqgan):
    pixels = to_pixels([picture(0)])
    same, parents = grown(vqgan, 32, pixels)
    assert (same.codebook.vectors == vqgan.codebook.vectors).all()
    assert parents.tolist() == list(range(32))
    with pytest.raises(ConfigError, match="32 codes already"):
        grown(vqgan, 31, pixels)


@pytest.mark.parametrize("tied", [False, True])
def test_new_codes_are_read_and_said_as_their_parents(tied):
    vocabulary, finer = Vocabulary(20, 4), Vocabulary(20, 7)
    parents = torch.tensor([0, 1, 2, 3, 1, 1, 3])
    model = tiny_generator(len(vocabulary), tied=tied)
    longer = with_finer_codes(model, vocabulary, parents)
    # The same sequence twice: once in old codes, once in children of these and moved markers.
    old = torch.tensor([[24, 3, 19, 20, 21, 23, 21, 24]])
    new = torch.tensor([[27, 3, 19, 20, 24, 26, 25, 27]])
    with torch.inference_mode():
        before, after = model(old), longer(new)
    rows = [*range(20), *(20 + parents).tolist(), *range(24, len(vocabulary))]
    assert after.shape[-1] == len(finer) == len(rows)
    torch.testing.assert_close(after, before[..., rows])
    with pytest.raises(CheckpointError, match=f"has {len(vocabulary)} ids"):
        with_finer_codes(model, finer, parents)


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
