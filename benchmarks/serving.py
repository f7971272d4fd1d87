"""Requests a second and latency on loopback, against the same number of calls one after another.

python benchmarks/serving.py
"""

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import uvicorn
from common import arguments, show

from racm3 import RACM3
from racm3.interfaces.server.app import create_app
from racm3.interfaces.server.config import ServerConfig
from racm3.system.cores import take_cores

CLIENTS, PORT = (1, 8, 32), 8765
ASKED = {"caption": "the flag of Bhutan on a blue background", "candidates": 1}


def main() -> None:
    chosen = arguments("requests per second at 1, 8 and 32 clients", threads=1, requests=128)
    system = RACM3.open("sample", device="cpu")
    take_cores(system, chosen.threads, small=0)
    app = create_app(system, ServerConfig(), page=False)
    server = uvicorn.Server(uvicorn.Config(app, port=PORT, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.1)
    draw(0)
    began = time.perf_counter()
    for seed in range(chosen.requests):
        draw(seed)
    sequential = time.perf_counter() - began
    show([measure(clients, chosen.requests, sequential) for clients in CLIENTS], chosen)
    server.should_exit = True


def draw(seed: int) -> float:
    began = time.perf_counter()
    url = f"http://127.0.0.1:{PORT}/api/draw"
    httpx.post(url, json={**ASKED, "seed": seed}, timeout=300).raise_for_status()
    return time.perf_counter() - began


def measure(clients: int, requests: int, sequential: float) -> dict[str, object]:
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        taken = sorted(pool.map(draw, range(requests)))
    whole = time.perf_counter() - began
    return {
        "clients": clients,
        "requests/s": round(requests / whole, 2),
        "median latency, s": round(statistics.median(taken), 2),
        "95%, s": round(taken[int(0.95 * len(taken))], 2),
        "one after another, requests/s": round(requests / sequential, 2),
        "ratio": round(sequential / whole, 2),
    }


if __name__ == "__main__":
    main()
