import io
import json
import random
import struct
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from racm3.data.ahead import Tolerance
from racm3.data.iptc import Told, told
from racm3.data.sources import read_source
from racm3.document import Document
from racm3.errors import MemoryStoreError, SourceError
from racm3.retrieval.entry import Entry
from racm3.retrieval.memory import MemoryStore
from tests.conftest import picture

PICTURES = [picture(i) for i in range(3)]


def folder(path):
    for i, image in enumerate(PICTURES):
        (path / f"{i}.png").write_bytes(image.png())
        (path / f"{i}.txt").write_text(f"caption {i}")
    return path


def jsonl(path):
    for i, image in enumerate(PICTURES):
        (path / f"{i}.png").write_bytes(image.png())
    rows = [
        {"file_name": f"{i}.png", "caption": f"caption {i}", "licence": "cc0"} for i in range(3)
    ]
    (path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return path


def csv(path):
    for i, image in enumerate(PICTURES):
        (path / f"{i}.png").write_bytes(image.png())
    rows = "\n".join(f'{i}.png,"caption {i}",cc0' for i in range(3))
    (path / "list.csv").write_text(f"file,caption,licence\n{rows}\n")
    return path / "list.csv"


def coco(path):
    (path / "images").mkdir()
    images, notes = [], []
    for i, image in enumerate(PICTURES):
        (path / "images" / f"{i}.png").write_bytes(image.png())
        images.append({"id": i, "file_name": f"{i}.png"})
        notes.append({"image_id": i, "caption": f"caption {i}"})
    (path / "captions.json").write_text(json.dumps({"images": images, "annotations": notes}))
    return path / "captions.json"


def coco_as_unpacked(path):
    coco(path)
    (path / "annotations").mkdir()
    (path / "images").rename(path / "val2017")
    return (path / "captions.json").rename(path / "annotations" / "captions_val2017.json")


def tar(path):
    with tarfile.open(path / "00000.tar", "w") as shard:
        for i, image in enumerate(PICTURES):
            about = json.dumps({"licence": "cc0"}).encode()
            files = {"png": image.png(), "txt": f"caption {i}".encode(), "json": about}
            for suffix, data in files.items():
                member = tarfile.TarInfo(f"{i:05d}.{suffix}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))
    return path


def parquet_file(path):
    rows = [
        {"image": {"bytes": image.png()}, "caption": f"caption {i}", "licence": "cc0"}
        for i, image in enumerate(PICTURES)
    ]
    parquet.write_table(pa.Table.from_pylist(rows), path / "a.parquet")
    return path / "a.parquet"


@pytest.mark.parametrize("make", [folder, jsonl, csv, coco, coco_as_unpacked, tar, parquet_file])
def test_every_kind_of_source_gives_the_same_documents(tmp_path, make):
    found = list(read_source(make(tmp_path), Tolerance()))
    assert [e.document.text for e in found] == [f"caption {i}" for i in range(3)]
    assert [e.document.images for e in found] == [(image,) for image in PICTURES]
    assert len({e.source for e in found}) == 3
    if make not in (folder, coco, coco_as_unpacked):
        assert [e.metadata["licence"] for e in found] == ["cc0"] * 3


def test_unreadable_pictures_are_refused_unless_tolerated(tmp_path):
    folder(tmp_path)
    (tmp_path / "1.png").write_bytes(b"not a picture")
    with pytest.raises(SourceError, match=r"1 sources cannot be read, more than the 0 .*1\.png"):
        list(read_source(tmp_path, Tolerance()))
    tolerance = Tolerance(1)
    assert len(list(read_source(tmp_path, tolerance))) == 2
    assert "1.png" in tolerance.problems[0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b"{}", "is not COCO captions JSON"),
        ("a.json", b'{"images": [], "annotations": [{"image_id": 1}]}', "JSON .KeyError..caption"),
        (
            "a.json",
            b'{"images": [{"id": 1, "file_name": "x.jpg"}], "annotations": []}',
            "no x.jpg in",
        ),
        ("a.tar", b"xx" * 600, "damaged tar shard"),
        ("a.parquet", b"xx" * 600, "not a readable Parquet"),
        ("a.docx", b"", "not a known kind of source"),
        ("a.jsonl", b"[1]\n", "not a JSON object"),
        ("a.txt", b"\xff\xfe", "is not UTF-8 text"),
        ("a.csv", "file,caption\nx.png,caf\xe9\n".encode("latin-1"), "a.csv is not UTF-8 text"),
        ("a.csv", b"drawn;words\nx.png;a boat\n", "has the columns drawn, words; for a"),
        ("a.csv", b'caption\n"' + b"a" * 200_000, "not a table that can be read .*limit"),
        ("a.csv", b"", "has the columns ; for a document one of file"),
    ],
)
def test_broken_sources_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=words):
        list(read_source(tmp_path / name, Tolerance()))


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="holds no pictures"):
        list(read_source(tmp_path, Tolerance()))


@pytest.mark.parametrize("divided", [",", ";", "\t"])
def test_a_table_as_spreadsheets_save_it(tmp_path, divided):
    (tmp_path / "x.png").write_bytes(PICTURES[0].png())
    rows = [["file", "caption", "licence"], ["x.png", '"a boat, red; old"', "cc0"]]
    lines = [divided.join(row) for row in rows]
    (tmp_path / "a.csv").write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
    (found,) = read_source(tmp_path / "a.csv", Tolerance())
    assert found.document == Document.of("a boat, red; old", PICTURES[0])
    assert found.metadata == {"licence": "cc0"}


def told_by_itself(caption: bytes, *keywords: bytes) -> bytes:
    """A JPEG with an IPTC block, as Lightroom and exiftool write it (IPTC-IIM 4.2, APP13)."""
    fields = [(120, caption), *((25, word) for word in keywords)]
    block = b"".join(struct.pack(">BBBH", 28, 2, n, len(said)) + said for n, said in fields)
    resource = (
        b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(block)) + block + b"\0" * (len(block) % 2)
    )
    segment = b"Photoshop 3.0\0" + resource
    buffer = io.BytesIO()
    PICTURES[0].pil().save(buffer, format="JPEG")
    marker = b"\xff\xed" + struct.pack(">H", len(segment) + 2)
    return buffer.getvalue()[:2] + marker + segment + buffer.getvalue()[2:]


def test_a_photograph_may_say_itself_what_it_shows(tmp_path):
    (tmp_path / "a.jpg").write_bytes(told_by_itself("café, evening".encode(), b"red", b"old boat"))
    (tmp_path / "b.jpg").write_bytes(told_by_itself("caf\xe9".encode("latin-1")))
    (tmp_path / "c.jpg").write_bytes(told_by_itself(b"not this", b"boat"))
    (tmp_path / "c.txt").write_text("a red boat")
    found = list(read_source(tmp_path, Tolerance()))
    assert [one.document.text for one in found] == ["café, evening", "café", "a red boat"]
    keywords = [one.metadata.get("keywords") for one in found]
    assert keywords == ["red, old boat", None, "boat"]


def test_a_damaged_caption_in_a_photograph_is_none():
    whole, rng = told_by_itself(b"a boat", b"red"), random.Random(0)
    for _ in range(500):
        broken = bytearray(whole)
        broken[rng.randrange(2, 90)] = rng.randrange(256)
        assert isinstance(told(bytes(broken[: rng.choice([len(broken), rng.randrange(99)])])), Told)


def test_what_a_system_hides_in_a_folder_is_not_read(tmp_path):
    folder(tmp_path)
    (tmp_path / ".thumbnails").mkdir()
    for name in ("._0.png", ".DS_Store", ".thumbnails/0.png"):
        (tmp_path / name).write_bytes(b"not a picture")
    assert len(list(read_source(tmp_path, Tolerance()))) == 3


def test_a_readme_beside_pictures_is_not_all_there_is(tmp_path):
    folder(tmp_path)
    (tmp_path / "README.md").write_text("# My pictures\n\nSome of them are old.")
    assert len(list(read_source(tmp_path, Tolerance()))) == 3
    (tmp_path / "README.md").write_text("# My pictures\n\n![the first](0.png)")
    (page,) = read_source(tmp_path, Tolerance())
    assert len(page.document.parts) == 2


def test_captions_may_be_named_and_begin_as_windows_has_it(tmp_path):
    (tmp_path / "A.PNG").write_bytes(PICTURES[0].png())
    (tmp_path / "A.TXT").write_text("a boat", encoding="utf-8-sig")
    (tmp_path / "words.txt").write_text("a dog")
    found = [entry.document for entry in read_source(tmp_path, Tolerance())]
    assert found == [Document.of("a boat", PICTURES[0]), Document.of("a dog")]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"TEXT": "a boat", "URL": "http://x"}, "a boat"),
        ({"title": "Boat", "description": "a red boat"}, "a red boat"),
        ({"title": "Boat"}, "Boat"),
        ({"sentences": ["a boat", "a red boat"]}, "a boat a red boat"),
        ({"sentences": [{"raw": "words in a struct"}]}, ""),
        ({"label": 3}, ""),
    ],
)
@pytest.mark.parametrize("column", ["image", "img", "Photo"])
def test_data_sets_name_their_columns_as_they_like(tmp_path, row, text, column):
    whole = {column: {"bytes": PICTURES[0].png(), "path": None}, **row}
    parquet.write_table(pa.Table.from_pylist([whole]), tmp_path / "a.parquet")
    (found,) = read_source(tmp_path / "a.parquet", Tolerance())
    assert (found.document.text, found.document.images) == (text, (PICTURES[0],))
    assert found.metadata == {k: str(v) for k, v in row.items() if v != text and k != "sentences"}


def test_columns_become_metadata_that_a_memory_takes(tmp_path):
    row = {
        "Image": "x.png", "Caption": "a boat", "description": "by a quay", "Tags": ["red", "old"],
        "exif.iso": 100, "ID": "7", "id": 7, "": "nothing", "_rowid": "1", "more": {"a": 1},
    }  # fmt: skip
    (tmp_path / "x.png").write_bytes(PICTURES[0].png())
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    (found,) = read_source(tmp_path / "a.jsonl", Tolerance())
    assert found.document == Document.of("a boat", PICTURES[0])
    assert found.metadata == {
        "description": "by a quay", "Tags": "red, old", "exif_iso": "100", "original_ID": "7",
        "original_id": "7", "rowid": "1",
    }  # fmt: skip
    store = MemoryStore.create(tmp_path / "m", encoder="x", dim=2)
    store.add([found], np.eye(2, dtype=np.float32)[:1])
    assert store.ids("exif_iso = '100' and `Tags` like '%old'").tolist() == [0]
    for name in ("exif.iso", "", "_rowid", "group"):
        strange = Entry(found.document, "y", {name: "1"})
        with pytest.raises(MemoryStoreError, match=f"may not be called '{name}'"):
            store.add([strange], np.eye(2, dtype=np.float32)[:1])


def test_a_text_file_has_a_document_a_line(tmp_path):
    (tmp_path / "captions.txt").write_text("a red boat\n\n  a dog, sleeping \n", encoding="utf-8")
    found = list(read_source(tmp_path / "captions.txt", Tolerance()))
    assert [e.document.text for e in found] == ["a red boat", "a dog, sleeping"]
    assert [e.source[-1] for e in found] == ["1", "3"]


def test_several_captions_are_one_text_and_each_by_itself(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"captions": ["a boat", " ", "a red boat"]}))
    (found,) = read_source(tmp_path / "a.jsonl", Tolerance())
    assert found.document.text == "a boat a red boat"
    assert found.said() == ["a boat", "a red boat"]
    assert Entry(found.document).said() == ["a boat a red boat"]
    assert not Entry(Document.of(PICTURES[0])).said()
