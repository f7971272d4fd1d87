"""Render the sample world's things from Noto Color Emoji: `python runs/make_sample_pack.py`.

Needs Debian's fonts-noto-color-emoji, unicode-cldr-core, unicode-data and libfribidi0. Writes
things.webp (an atlas of RGBA pictures) and things.json (names, keywords, groups, held-out marks).
"""

import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
EMOJI = Path("/usr/share/unicode/emoji/emoji-test.txt")
CLDR = Path("/usr/share/unicode/cldr/common")
OUT = Path(__file__).parents[1] / "src/racm3/assets/sample"
SIDE, COLUMNS = 64, 44
HELD_OUT_FLAGS, HELD_OUT_SHARE = 40, 0.1
# Of two things that look the same the first is kept: territories before the countries whose flag
# they fly.
FLIES = {
    "Bouvet Island": "Norway",
    "Ceuta & Melilla": "Spain",
    "Clipperton Island": "France",
    "U.S. Outlying Islands": "United States",
}


def annotations() -> tuple[dict[str, str], dict[str, list[str]]]:
    names, keywords = {}, {}
    for folder in ("annotations", "annotationsDerived"):
        root = ElementTree.parse(CLDR / folder / "en.xml").getroot()
        for entry in root.iter("annotation"):
            text = entry.text or ""
            if entry.get("type") == "tts":
                names[entry.get("cp")] = text.strip()
            else:
                keywords[entry.get("cp")] = [word.strip() for word in text.split("|")]
    return names, keywords


def emoji() -> list[tuple[str, str, str]]:
    """(characters, group, name) of every fully qualified emoji without a skin tone."""
    found, group = [], ""
    for line in EMOJI.read_text().splitlines():
        if line.startswith("# group:"):
            group = line.split(":")[1].strip()
        match = re.match(r"([0-9A-F ]+?) *; fully-qualified +# \S+ E[\d.]+ (.+)", line)
        if match and "skin tone" not in match[2] and match[2][-4:] != "hair":
            found.append(("".join(chr(int(c, 16)) for c in match[1].split()), group, match[2]))
    return found


def render(characters: str, font: ImageFont.FreeTypeFont) -> Image.Image | None:
    """The glyph in a square, or nothing where the font has no single glyph for it."""
    if font.getlength(characters) > 1.5 * font.getlength("\N{AVOCADO}"):
        return None
    canvas = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(canvas).text((8, 8), characters, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        return None
    glyph = canvas.crop(box)
    square = Image.new("RGBA", (max(glyph.size),) * 2)
    square.paste(glyph, ((square.width - glyph.width) // 2, (square.height - glyph.height) // 2))
    return square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def spoken(name: str) -> str:
    name = name.removeprefix("flag: ")
    return name.replace("“", "").replace("”", "").replace("⊛ ", "").strip()


def main() -> None:
    names, words = annotations()
    font = ImageFont.truetype(FONT, 109, layout_engine=ImageFont.Layout.RAQM)
    things, pictures, seen = [], [], set()
    for characters, group, fallback in emoji():
        picture = render(characters, font)
        bare = characters.replace("\ufe0f", "")
        flag = "flag: " in fallback
        name = spoken(names.get(characters, names.get(bare, fallback)))
        name = f"flag of {FLIES.get(name, name)}" if flag else name
        digest = picture and hashlib.sha256(picture.tobytes()).hexdigest()
        if picture is None or digest in seen or name in {thing["name"] for thing in things}:
            continue
        seen.add(digest)
        keywords = [
            w for w in words.get(characters, words.get(bare, [])) if w not in (name, "flag")
        ]
        things.append({"name": name, "keywords": keywords[:6], "group": group, "flag": flag})
        pictures.append(picture)
    rng = np.random.default_rng(2022)
    flags = [i for i, thing in enumerate(things) if thing["flag"]]
    others = [i for i, thing in enumerate(things) if not thing["flag"]]
    rest = round(HELD_OUT_SHARE * len(things)) - HELD_OUT_FLAGS
    held = {
        *rng.choice(flags, HELD_OUT_FLAGS, replace=False),
        *rng.choice(others, rest, replace=False),
    }
    for position, thing in enumerate(things):
        thing["held_out"] = position in held
    rows = -(-len(pictures) // COLUMNS)
    atlas = Image.new("RGBA", (COLUMNS * SIDE, rows * SIDE))
    for position, picture in enumerate(pictures):
        atlas.paste(picture, (position % COLUMNS * SIDE, position // COLUMNS * SIDE))
    OUT.mkdir(parents=True, exist_ok=True)
    atlas.save(OUT / "things.webp", lossless=True, quality=100, method=6)
    lines = ",\n".join(json.dumps(thing, ensure_ascii=False) for thing in things)
    (OUT / "things.json").write_text(
        f'{{"side": {SIDE}, "columns": {COLUMNS}, "things": [\n{lines}\n]}}\n'
    )
    size = (OUT / "things.webp").stat().st_size / 2**20
    print(f"{len(things)} things, {len(held)} held out, {len(flags)} flags, atlas {size:.1f} MiB")


if __name__ == "__main__":
    main()
