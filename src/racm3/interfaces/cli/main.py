"""`racm3 VERB ...`: every verb is a function; its signature is its command line."""

import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from types import UnionType
from typing import Any, get_args, get_origin

from jsonargparse import ArgumentParser, Namespace

from racm3 import __version__
from racm3.errors import Racm3Error
from racm3.interfaces.cli import answer, browse, evaluate, many, memory, parts, serve, study, train
from racm3.system import Settings
from racm3.system.parts import recommended, system_folder

Verb = Callable[..., None]

VERBS: dict[str, Verb | dict[str, Verb]] = {
    "draw": answer.draw,
    "caption": answer.caption,
    "infill": answer.infill,
    "infill_text": answer.infill_text,
    "edit": answer.edit,
    "classify": answer.classify,
    "complete": answer.complete,
    "many": {"draw": many.draw, "caption": many.caption},
    "demo": evaluate.demo,
    "serve": serve.serve,
    "memory": {
        "build": memory.build,
        "add": memory.add,
        "remove": memory.remove,
        "index": memory.index,
        "search": browse.search,
        "show": browse.show,
        "stats": browse.stats,
        "verify": memory.verify,
        "export": memory.export,
        "restore": memory.restore,
    },
    "prepare": train.prepare,
    "train": {
        "own": train.own,
        "sample": train.sample,
        "tokenizer": train.tokenizer,
        "clip": train.clip,
        "text": train.text,
        "generator": train.generator,
    },
    "assemble": parts.assemble,
    "average": parts.average,
    "export": parts.export,
    "push": parts.push,
    "import": {"tokenizer": parts.import_tokenizer},
    "evaluate": {
        "sample": evaluate.sample,
        "documents": evaluate.documents,
        "pictures": evaluate.pictures,
        "captions": evaluate.captions,
    },
    "study": {
        "list": study.list_tables,
        "run": study.run,
        "pack": study.pack,
        "report": study.report,
    },
}
# Arguments whose fields become options of their own: --seed, not --settings.seed.
SPREAD: dict[str, type[Any]] = {"using": answer.Using, "settings": Settings}
FLAGS = {"json", "again"}
# What answers with words.
SAYING = (answer.caption, answer.infill_text, many.caption)
GROUPS = {
    "many": "draw or describe every document of a source, as far as it was last time and on",
    "memory": "build, change, search and check an external memory",
    "train": "train a system for your own pictures, the sample system, or single parts",
    "evaluate": "measure",
    "import": "take public weights over",
    "study": "re-run the papers' comparisons at your own scale",
}


def first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


def explanation(verb: Verb) -> str:
    """What a docstring says before its arguments."""
    return inspect.cleandoc(verb.__doc__ or "").partition("\n\nArgs:")[0]


def item_type(verb: Verb, name: str) -> type | None:
    """What a list option holds: `--like a.png b.png` reads better than a repeated option."""
    annotation = verb.__annotations__[name]
    choices = get_args(annotation) if get_origin(annotation) is UnionType else (annotation,)
    return next((get_args(one)[0] for one in choices if get_origin(one) is list), None)


def described(verb: Verb, name: str) -> str:
    """A parameter's line in the docstring."""
    found = re.search(rf"^ +{name}: (.*(?:\n {{12,}}.*)*)", verb.__doc__ or "", re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def leaf(verb: Verb, settings: Settings) -> ArgumentParser:
    """A verb's parser: its own arguments, with `Using` and `Settings` spread out."""
    parser = ArgumentParser(description=explanation(verb))
    parser.add_argument("--config", action="config", help="A YAML file with any of these options.")
    wanted = set(verb.__annotations__)
    lists = {name: kind for name in wanted if (kind := item_type(verb, name))}
    skip: set[str | int] = {*FLAGS, *SPREAD, *lists}
    parser.add_function_arguments(verb, skip=skip, as_positional=True)
    for name, kind in lists.items():
        needed = inspect.signature(verb).parameters[name].default is inspect.Parameter.empty
        parser.add_argument(
            f"--{name}", type=kind, nargs="+", required=needed, help=described(verb, name)
        )
    for name, kind in SPREAD.items():
        if name in wanted:
            parser.add_class_arguments(kind, as_group=False)
            if kind is Settings:
                parser.set_defaults(flat(asdict(settings)))
    for name in sorted(FLAGS & wanted):
        told = described(verb, name) or "Print the answer as JSON."
        parser.add_argument(f"--{name}", action="store_true", help=told)
    return parser


def named(arguments: Sequence[str]) -> Verb | None:
    """The verb that a command line begins with, if it does."""
    first, second = (*arguments[:2], "", "")[:2]
    verb = VERBS.get(first)
    return verb.get(second) if isinstance(verb, dict) else verb


def build_parser(settings: Settings | None = None, only: Verb | None = None) -> ArgumentParser:
    """`settings` are what the options of answering verbs default to; the options of `only` one verb
    are a tenth of the work."""
    settings = settings or Settings()

    def options(verb: Verb) -> ArgumentParser:
        return leaf(verb, settings) if only in (None, verb) else ArgumentParser()

    parser = ArgumentParser(
        prog="racm3",
        description="A multimodal model that looks things up before it draws or describes.",
        version=__version__,
    )
    verbs = parser.add_subcommands(dest="verb")
    for name, verb in VERBS.items():
        if isinstance(verb, dict):
            group = ArgumentParser(description=GROUPS[name])
            verbs.add_subcommand(name, group, help=GROUPS[name])
            inner = group.add_subcommands(dest="what")
            for inner_name, inner_verb in verb.items():
                inner.add_subcommand(
                    inner_name, options(inner_verb), help=first_line(inner_verb.__doc__)
                )
        else:
            verbs.add_subcommand(name, options(verb), help=first_line(verb.__doc__))
    return parser


def call(verb: Verb, options: Namespace) -> None:
    values: dict[str, Any] = {key: value for key, value in vars(options).items() if key != "config"}
    for name, kind in SPREAD.items():
        if name in verb.__annotations__:
            fields = [field.name for field in dataclasses.fields(kind)]
            values[name] = kind(**{field: values.pop(field) for field in fields})
    verb(**values)


def parse(
    arguments: Sequence[str] | None, settings: Settings | None = None
) -> tuple[Verb, Namespace]:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = build_parser(settings, named(arguments))
    parsed = parser.instantiate(parser.parse_args(arguments))
    verb, options = VERBS[parsed.verb], parsed[parsed.verb]
    if isinstance(verb, dict):
        verb, options = verb[options.what], options[options.what]
    return verb, options


def run(arguments: Sequence[str] | None = None) -> None:
    """What nobody says, the system says: it carries the settings that suit it best."""
    verb, options = parse(arguments)
    if {"settings", "using"} <= set(verb.__annotations__):
        folder = system_folder(options.system)
        best = recommended(folder)
        verb, options = parse(arguments, best.saying if verb in SAYING else best)
    call(verb, options)


def flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings as the options of the command line: `sampling.temperature`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = flat(value, f"{before}{name}.") if isinstance(value, dict) else None
        found |= inner if inner is not None else {f"{before}{name}": value}
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Errors that people can act on become one sentence and exit status 1."""
    try:
        run(arguments)
    except Racm3Error as error:
        print(f"racm3: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("racm3: stopped; the same command goes on where it was", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.strerror is None:
            raise
        about = f": {error.filename}" if error.filename else ""
        print(f"racm3: {error.strerror}{about}", file=sys.stderr)
        sys.exit(1)
