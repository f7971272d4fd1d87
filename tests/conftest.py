"""Small things that many tests use: untrained parts that are fast, and documents."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from hypothesis import settings
from tokenizers import Tokenizer, decoders

from racm3.data.sample_world import corpus
from racm3.document import Document, Image
from racm3.model.config import GeneratorConfig
from racm3.model.transformer import Transformer
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import embed
from racm3.retrieval.encoder import ClipEncoder
from racm3.retrieval.shelf import ListShelf
from racm3.system import RACM3
from racm3.system.parts import Parts
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.tokens.vqgan.model import VQGAN
from racm3.training.clip import ClipTraining, new_clip

torch.set_num_threads(1)
# The same examples in every run, and no test that depends on how busy the machine is.
settings.register_profile("racm3", deadline=None, derandomize=True)
settings.load_profile("racm3")
TINY_VQGAN = VQGANConfig(
    side=16, patch=2, widths=(8, 16), encoder_blocks=1, decoder_blocks=1, codes=32, code_width=4
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="store new golden values")


def picture(seed: int, height: int = 16, width: int = 16) -> Image:
    rng = np.random.default_rng(seed)
    return Image(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def unspaced(text: TextTokenizer) -> TextTokenizer:
    """The same ids, without a space before every text, as older tokenizers were saved."""
    tokenizer = Tokenizer.from_str(text.tokenizer.to_str())
    tokenizer.normalizer, tokenizer.decoder = None, decoders.ByteLevel()
    return TextTokenizer(tokenizer)


def tiny_generator(vocabulary: int, *, seed: int = 0, **changes: object) -> Transformer:
    sizes: dict = {"width": 32, "depth": 2, "heads": 4, "kv_heads": 2, "context": 512, **changes}
    torch.manual_seed(seed)
    model = Transformer(GeneratorConfig(vocabulary=vocabulary, **sizes)).eval()
    for parameter in model.parameters():  # livelier than at initialisation, so that mistakes show
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture(scope="session")
def codec() -> Codec:
    torch.manual_seed(1)
    image = ImageTokenizer(VQGAN(TINY_VQGAN))
    return Codec(TextTokenizer.train(corpus.captions("seen", 200)[:300], size=320), image)


@pytest.fixture(scope="session")
def encoder() -> ClipEncoder:
    config = ClipTraining(steps=1, width=48, layers=1, dim=16, vocabulary=300, side=16, patch=8)
    return new_clip(config, corpus.captions("seen", 200)[:300])


@pytest.fixture(scope="session")
def documents() -> list[Document]:
    names = ("apple", "guitar", "flag of Bhutan", "leopard", "strawberry", "train")
    return [Document.of(f"a {name}", picture(i)) for i, name in enumerate(names)]


@pytest.fixture(scope="session")
def shelf(encoder: ClipEncoder, documents: list[Document]) -> ListShelf:
    return ListShelf(documents, embed(encoder, documents))


@pytest.fixture(scope="session")
def system(codec: Codec, encoder: ClipEncoder, shelf: ListShelf) -> RACM3:
    models = {
        name: tiny_generator(len(codec.vocabulary), seed=seed)
        for seed, name in enumerate(("racm3", "cm3"))
    }
    parts = Parts(codec, encoder, models, RetrieverConfig(too_similar=None), shelf, "tiny")
    return RACM3(parts)


@pytest.fixture(scope="session")
def shipped() -> RACM3:
    """What ships, opened once."""
    return RACM3.open("sample", device="cpu")
