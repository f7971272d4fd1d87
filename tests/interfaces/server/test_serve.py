"""`racm3 serve` as a person starts it: a process that says where it is, answers, and stops."""

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from racm3.interfaces.cli import main


def test_the_command_serves_page_and_api_and_stops_when_told(system, tmp_path):
    system.save(tmp_path / "system")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "racm3", "serve", "--system", f"{tmp_path}/system",
        "--device", "cpu", "--server.port", str(port),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert f"http://127.0.0.1:{port}/" in process.stdout.readline()
            assert until_up(f"http://127.0.0.1:{port}")["status"] == "ok"
            page = httpx.get(f"http://127.0.0.1:{port}/")
            assert "racm3" in page.text
            assert "default-src 'self'" in page.headers["content-security-policy"]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def until_up(url: str) -> dict[str, str]:
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx.get(f"{url}/healthz").json()
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_serving_others_without_a_key_is_refused_in_a_sentence(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--server.host", "0.0.0.0"])
    assert "give a key" in capsys.readouterr().err
