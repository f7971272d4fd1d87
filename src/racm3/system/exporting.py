"""A generator as other libraries open it: a Qwen3 folder whose `tokenizer.json` has our ids."""

from pathlib import Path

from tokenizers import AddedToken

from racm3.errors import ConfigError
from racm3.model.export import save_generator
from racm3.runtime import save_json, write_whole
from racm3.system.parts import Parts
from racm3.tokens.codec import Codec

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags: [racm3, multimodal, retrieval-augmented, image-generation]
---

# {name}

A CM3 generator trained with [racm3]: {parameters:.1f}M parameters. It reads and writes documents of
text and picture codes; pictures are {cells} codes of the image tokenizer that was trained with it.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
prompt = tokenizer("</s>a guitar<break>", return_tensors="pt", add_special_tokens=False)
codes = model.generate(**prompt, max_new_tokens={cells})[0, prompt["input_ids"].shape[1]:]
```

With vLLM (a prompt is text with markers; codes come back as `<code:0>` ... `<code:{last}>`):

```python
from vllm import LLM, SamplingParams

llm = LLM(".")
sampling = SamplingParams(max_tokens={cells}, skip_special_tokens=False)
print(llm.generate(["</s>a guitar<break>"], sampling)[0].outputs[0].text)
```

Markers: `<break>` closes a text or a picture, `</s>` a document, `<mask:i>` stands for what is
infilled later, `<eoss>` closes it. Retrieved documents stand before the main one.{spaced}

[racm3]: an open implementation of RA-CM3 (arXiv 2211.12561)
"""

SPACED = """ A text after a marker
begins with a space, written or not."""


def export_transformers(parts: Parts, generator: str, out: Path) -> None:
    """A folder that `AutoModelForCausalLM` and `AutoTokenizer` open, and that says the same.

    Raises:
        ConfigError: There is no such generator, or Qwen3 has no place for what it learnt.
    """
    if generator not in parts.generators:
        raise ConfigError(
            f"{parts.name} has no generator {generator!r}, only {', '.join(parts.generators)}"
        )
    model = parts.generators[generator]
    if model.config.period or parts.align:
        raise ConfigError(
            f"{parts.name}'s generator places pictures on a grid of positions (period "
            f"{model.config.period}, align {parts.align}), which Qwen3 does not know; export one "
            "that was trained with --model.period 0 and --stream.align 0, the defaults"
        )
    save_generator(model, out)
    save_tokenizer(parts.codec, out)
    vocabulary, cells = parts.codec.vocabulary, len(parts.codec.image.grid)
    card = CARD.format(
        name=out.name,
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        cells=cells,
        last=len(vocabulary.image) - 1,
        spaced=SPACED if parts.codec.text.is_spaced else "",
    )
    write_whole(out / "README.md", card)


def save_tokenizer(codec: Codec, folder: Path) -> None:
    """The text tokenizer, with every code and marker as a token of its own at its own id."""
    vocabulary, whole = codec.vocabulary, codec.text.among_markers()
    names = {id_: f"<code:{n}>" for n, id_ in enumerate(vocabulary.image)} | vocabulary.names()
    whole.add_special_tokens([
        AddedToken(names[id_], special=True, normalized=False) for id_ in sorted(names)
    ])  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    whole.save(str(folder / "tokenizer.json"))
    markers = vocabulary.names()
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": markers[vocabulary.end],
        "eos_token": markers[vocabulary.end],
        "pad_token": markers[vocabulary.pad],
        "clean_up_tokenization_spaces": False,
    }
    save_json(folder / "tokenizer_config.json", about)


def push(folder: Path, repository: str, *, private: bool = True) -> str:
    """Upload an exported folder to a hub; its address. Nothing else in racm3 uploads anything."""
    from huggingface_hub import HfApi

    if not (folder / "config.json").exists():
        raise ConfigError(f"{folder} is no exported model; make one with `racm3 export`")
    api = HfApi()
    place = api.create_repo(repository, private=private, exist_ok=True)
    api.upload_folder(repo_id=repository, folder_path=str(folder))
    return str(place)
