"""Our own endpoints against the system that they translate for."""

import base64
import json

import pytest

from racm3.document import Image
from racm3.generation.guidance import Guidance
from racm3.interfaces.server.pictures import to_base64
from racm3.interfaces.server.schemas import How
from racm3.system import Settings
from racm3.system.rephrasing import Rephrasing
from tests.conftest import picture

PICTURE = to_base64(picture(1))


def opened(written: str) -> Image:
    return Image.decode(base64.b64decode(written))


def test_drawing_is_the_systems_own_with_all_that_it_consulted(client, fresh):
    found = client.post("/api/draw", json={"caption": "an apple", "seed": 7, "candidates": 2})
    assert found.status_code == 200
    body = found.json()
    expected = fresh.draw("an apple", Settings(seed=7, candidates=2))
    assert [opened(one) for one in body["images"]] == list(expected.images)
    for one, other in zip(body["consulted"], expected.consulted, strict=True):
        assert one | other.to_json() == one
    assert opened(body["consulted"][0]["pictures"][0]) == expected.consulted[0].document.images[0]
    assert body["snapshot"] == fresh.snapshot
    assert body["settings"]["seed"] == 7


@pytest.mark.parametrize(("asked", "weight"), [({}, 1.0), ({"guidance": 3.0}, 3.0)])
def test_the_guidance_that_is_asked_for_holds_where_words_are_said(asked, weight):
    best = Settings(guidance=Guidance(weight=2.0, caption_weight=1.0))
    assert How(**asked).settings(best).saying.guidance.weight == weight


def test_a_caption_is_read_in_other_words_unless_as_typed_is_asked_for(client, fresh):
    rule = {r"a (?P<look>red) (?P<rest>.+)": r"a \g<rest> in \g<look>"}
    fresh.library.parts.rephrasing = Rephrasing(alone=rule)
    asked = {"caption": "a red guitar"}
    read = client.post("/api/draw", json=asked).json()
    typed = client.post("/api/draw", json={**asked, "as_typed": True}).json()
    assert read["revised_prompt"] == "a guitar in red"
    assert typed["revised_prompt"] is None
    assert typed["settings"]["as_typed"]
    assert opened(read["images"][0]) == fresh.draw("a guitar in red").image
    assert read["images"] != typed["images"]


def test_events_tell_of_every_row_and_end_in_the_answer(client):
    asked = {"caption": "an apple", "seed": 7}
    whole = client.post("/api/draw", json=asked).json()
    with client.stream("POST", "/api/draw/stream", json=asked) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [block.split("\n") for block in response.read().decode().strip().split("\n\n")]
    kinds = [lines[0].removeprefix("event: ") for lines in events]
    assert kinds[-1] == "done"
    assert set(kinds[:-1]) <= {"partial"}
    last = json.loads(events[-1][1].removeprefix("data: "))
    assert last == whole


def test_a_document_that_is_left_out_is_replaced_by_the_next(client):
    first = client.post("/api/draw", json={"caption": "an apple"}).json()["consulted"]
    without = client.post(
        "/api/draw", json={"caption": "an apple", "leave_out": [first[0]["id"]]}
    ).json()["consulted"]
    assert without[0]["id"] == first[1]["id"]
    assert len(without) == len(first)
    assert first[0]["id"] not in [one["id"] for one in without]
    every = {"caption": "an apple", "leave_out": list(range(6))}
    assert client.post("/api/draw", json=every).json()["consulted"] == []


def test_as_many_documents_as_things_are_asked_for(client):
    asked = {"caption": "an apple", "documents": "each"}
    body = client.post("/api/draw", json=asked).json()
    assert body["settings"]["documents"] == "each"
    assert len(body["consulted"]) == 1


def test_influence_is_told_where_it_is_asked_for(client):
    body = client.post("/api/draw", json={"caption": "an apple", "influence": True}).json()
    assert [one["title"] for one in body["influence"]] == [c["title"] for c in body["consulted"]]
    cells = body["influence"][0]["cells"]
    assert sum(map(sum, cells)) == pytest.approx(body["influence"][0]["nats"], abs=0.1)
    words = client.post("/api/caption", json={"picture": PICTURE, "influence": True}).json()
    assert words["influence"][0]["words"]


def test_infilling_keeps_what_was_not_masked(client):
    body = client.post("/api/infill", json={"picture": PICTURE, "box": {"top": 50}}).json()
    filled = opened(body["images"][0])
    assert (filled.pixels[:8] == picture(1).pixels[:8]).all()
    both = {"picture": PICTURE, "box": {"top": 50}, "mask": PICTURE}
    assert client.post("/api/infill", json=both).status_code == 400


def test_classifying_and_completing(client):
    shots = {label: [to_base64(picture(n))] for n, label in enumerate("XY")}
    body = client.post("/api/classify", json={"picture": PICTURE, "examples": shots}).json()
    assert body["label"] in "XY"
    assert sum(body["probabilities"].values()) == pytest.approx(1)
    body = client.post("/api/complete", json={"html": "<p>an apple</p>", "more": 1}).json()
    assert body["html"].startswith(("<p>an apple</p>", '<img alt="an apple"'))


def test_what_is_added_is_found_and_what_is_removed_is_gone(client):
    added = client.post(
        "/api/memory/documents",
        json={"text": "a zebra", "pictures": [PICTURE], "metadata": {"licence": "cc-by"}},
    ).json()
    found = client.post("/api/memory/search", json={"text": "a zebra", "count": 20}).json()
    assert added["ids"][0] in [one["id"] for one in found["hits"]]
    chosen = {"text": "x", "where": "licence = 'cc-by'"}
    assert [o["id"] for o in client.post("/api/memory/search", json=chosen).json()["hits"]] == (
        added["ids"]
    )
    shown = client.get(f"/api/memory/documents/{added['ids'][0]}").json()
    assert shown["title"] == "a zebra"
    assert opened(shown["pictures"][0]) == picture(1)
    gone = client.delete(f"/api/memory/documents/{added['ids'][0]}").json()
    assert gone["snapshot"] != added["snapshot"]
    assert client.get(f"/api/memory/documents/{added['ids'][0]}").status_code == 404
    found = client.post("/api/memory/search", json={"text": "a zebra", "count": 20}).json()
    assert added["ids"][0] not in [one["id"] for one in found["hits"]]


def test_an_answer_is_given_again_from_the_snapshot_that_it_names(client):
    first = client.post("/api/draw", json={"caption": "a zebra"}).json()
    client.post("/api/memory/documents", json={"text": "a zebra", "pictures": [PICTURE]})
    now = client.post("/api/draw", json={"caption": "a zebra"}).json()
    assert now["snapshot"] != first["snapshot"]
    then = {"snapshot": first["snapshot"]}
    again = client.post("/api/draw", json={"caption": "a zebra", **then}).json()
    assert again["snapshot"] == first["snapshot"]
    assert again["images"] == first["images"]
    found = client.post("/api/memory/search", json={"text": "a zebra", **then}).json()
    assert "a zebra" not in [hit["title"] for hit in found["hits"]]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("draw", {"caption": ""}, 422, "caption"),
        ("draw", {"caption": "  "}, 400, "caption is empty"),
        ("draw", {"caption": "x", "tempreature": 1}, 422, "tempreature"),
        ("draw", {"caption": "x", "documents": "some"}, 422, "number from 0 to 8, or `each`"),
        ("draw", {"caption": "x", "documents": 9}, 422, "number from 0 to 8, or `each`"),
        ("draw", {"caption": "x", "like": ["/etc/passwd"]}, 400, "base64"),
        ("draw", {"caption": "x", "like": ["http://example.org/a.png"]}, 400, "not fetched"),
        ("draw", {"caption": "x", "where": "no such column = 1"}, 400, "filter"),
        ("draw", {"caption": "x", "snapshot": "y@1"}, 404, "not kept"),
        ("caption", {"picture": "AAAA"}, 400, "cannot be read as a picture"),
        ("infill", {"picture": PICTURE}, 400, "box or a mask"),
        ("classify", {"picture": PICTURE, "examples": {"X": [PICTURE]}}, 400, "two labels"),
        ("complete", {"html": "<script>"}, 400, "markup"),
        ("memory/search", {}, 400, "empty"),
        ("memory/documents", {"pictures": []}, 400, "empty"),
    ],
)
def test_a_mistake_gets_one_sentence_and_a_status(client, path, body, status, words):
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert client.get("/healthz").json()["status"] == "ok"


def test_counters_count(client, system):
    client.post("/api/draw", json={"caption": "an apple", "candidates": 3})
    text = client.get("/metrics").text
    assert "racm3_requests_under_way 0.0" in text
    client.post("/api/memory/documents", json={"text": "a zebra", "pictures": [PICTURE]})
    said = "racm3_ids_said_total"
    counted = [line for line in text.splitlines() if line.startswith(said)]
    assert counted == [
        line for line in client.get("/metrics").text.splitlines() if line.startswith(said)
    ]
    assert 'racm3_answer_seconds_count{what="draw"} 1.0' in text
    assert counted[-1:] == [f"{said} {3.0 * len(system.codec.image.grid)}"]
