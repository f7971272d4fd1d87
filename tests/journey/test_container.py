"""Where no container engine runs: the files are read as one would read them."""

import json
import shlex
from pathlib import Path

import yaml

from racm3.interfaces.cli.main import parse

ROOT = Path(__file__).parents[2]
KNOWN = {"FROM", "ARG", "RUN", "WORKDIR", "COPY", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}


def instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [
        (line.split(" ", 1)[0], line.split(" ", 1)[1])
        for line in lines
        if line and not line.startswith("#")
    ]


def test_every_instruction_is_known_and_copies_what_is_there():
    assert {name for name, _ in instructions()} <= KNOWN
    for name, rest in instructions():
        if name == "COPY":
            assert all((ROOT / source).exists() for source in rest.split()[:-1])
    users = [n for n, (name, _) in enumerate(instructions()) if name == "USER"]
    assert users, "the server must not run as root"


def test_the_container_starts_a_command_that_parses():
    command = json.loads(next(rest for name, rest in instructions() if name == "CMD"))
    words = shlex.split(command[-1].replace("${RACM3_KEY:?set RACM3_KEY}", "secret"))
    assert words[0] == "racm3"
    verb, options = parse(words[1:])
    assert verb.__name__ == "serve"
    assert (options.server.host, options.server.key) == ("0.0.0.0", "secret")


def test_compose_publishes_the_servers_port_to_this_machine_only():
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["racm3"]
    exposed = next(rest for name, rest in instructions() if name == "EXPOSE")
    assert service["ports"] == [f"127.0.0.1:{exposed}:{exposed}"]
    assert "RACM3_KEY" in service["environment"]
