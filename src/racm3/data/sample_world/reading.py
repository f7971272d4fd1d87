"""How a question to the sample world is read: what it asks for, and in which words."""

from racm3.data.sample_world.scenes import COLOURS, DYES, NUMBERS, PLACES, TEXTURES, listed
from racm3.data.sample_world.scenes import SEVERAL as EVERY

_DYED = f" dyed (?:{'|'.join(DYES)})"
# How two of one thing stand: these words would find briefs and a clock that shows one.
_ARRANGED = (
    ",? one (?:on top and one below|above the other)| side by side| in (?:a )?row"
    "| (?:next to|beside|near|above|below|over|under|behind|on top of) (?:each other|one another)"
)
_TWICE = r"\b(?:two|three|four) of (?=(?:an?|the) )"
_FIELD = r"field\b(?! hockey)"
_GROUND = f"(?:(?:{'|'.join(TEXTURES)}) )?(?:{'|'.join(COLOURS)}) (?:background|{_FIELD})"
# A whole caption of a scene with nothing in it.
_EMPTY = f"^(?:an? |an empty |nothing on an? )?{_GROUND}$"
# What is behind a thing, of whatever colour, would find hearts, and a baby chick that faces the
# front.
_BEFORE = " (?:on|with|in|in front of|against)"
_BEHIND = (
    f"(?:,|{_BEFORE}(?: an?| the)?) {_GROUND}"
    f"|{_BEFORE} (?:an?|the) (?:[\\w-]+ ){{0,2}}(?:background|backdrop|{_FIELD})"
)
_ON = f"(?:(?:{'|'.join(TEXTURES)}) )?(?:{'|'.join(COLOURS)})"
# Where a thing is, what it is on, and that it is a picture: the last word is to be its name.
_AT = "(?:at|on)(?: the)?"
_PLACED = rf" {_AT} (?:left|right|top|bottom)(?! of)\b"
_SAID_AROUND = f"^an? picture of |{_PLACED}| on {_ON}$"
# What no document is to be found by.
UNASKED = f"(?i:{_DYED}|{_ARRANGED}|{_TWICE}|{_EMPTY}|{_BEHIND}|{_SAID_AROUND})"
# What says how a thing is there, and no name does: a cat sleeping on a bed.
_AS = (
    "(?:(?:sitting|lying|sleeping|leaning|hiding|looking|playing|jumping|flying|standing|walking"
    "|running|dancing|swimming|floating|climbing|balancing|resting|perched|parked) )?"
)
# What is done to a thing that has no article: eating cheese. Of names only these are like it.
_DOING = "(?:wearing|holding|eating|drinking|riding|chasing)(?! (?:turban|hands|back)\\b)"
_TO = (
    "biting|breathing|carrying|catching|cooking|driving|feeding|hugging|juggling|kicking"
    "|playing(?! card)|pulling|pushing|reading|throwing|washing|watching|watering"
)
# What such words split a question by; `and` may belong to a name (a hammer and wrench) or to two of
# one thing (one on top and one below).
SPLITS = (
    rf"(?i:(?<! one) {_AS}"
    r"(?:next to|beside|(?:to (?:the )?)?(?:left|right) of|above|below|beneath|on top of)"
    r"(?! each| the other) )"
)
# A black and white cow is one, an orange and a lemon are two.
_AND = "".join(f"(?<!\\b{dye} )" for dye in DYES) + r"and|(?<=\ban orange )and(?= an? )"
# What is done, and not how something is: a sleeping cat.
_BARE = r"(?<!\ba )(?<!\ban )(?<!\bthe )"
_THESE = "an?|the|two|three|four|some|my|your|his|her|its|our|their"
JOINS = (
    rf"(?i:(?:,(?= (?:{_THESE}) )(?! an? {_GROUND})"
    rf"|,? (?:{_AND}|&|\+|{_DOING}|{_AS}(?:over|under|near|around|behind|in front of)"
    rf"|(?:{_AS}(?:with|on|in|inside(?: of)?|at|by)|{_BARE}[a-z]+ing)"
    rf"(?= (?:{_THESE}) ))"
    # Without an article before what has a name: a cat with hat, not a dog with spots.
    rf"|(?P<named> (?:{_AS}(?:with|on|in|inside(?: of)?)|{_BARE}(?:{_TO})))"
    # Between two names: cat, dog and bird, not a big, red car.
    rf"|(?P<listed>,(?! (?:an? )?{_GROUND})))"
    r"(?! each| the (?:other|left|right|top|bottom|middle|corner|cent(?:er|re))\b)"
    r"(?! (?:an? )?(?:row|line|column)\b)"
    r"(?! one (?:on|at|in|to|above|below|under|beneath|behind)\b) )"
)
# What is read instead of what people type, since the lessons have no other words for it but in some
# (docs/log.md): no opening but `a picture of`, no capital, no full stop.
_KINDS = "photo|photograph|image|drawing|painting|illustration|sketch|icon|emoji|sticker"
_MAKE = (
    "(?:(?:can|could|would|will) you )?(?:please )?"
    "(?:draw|paint|sketch|show|make|create|generate|give|I want|I need|I(?: woul|')d like)"
    f"(?: me| us)? (?=(?:{_THESE}|{_KINDS}|picture) )"
)
_WAYS = {("left", "right"): "left of", ("right", "left"): "right of"}
_WAYS |= {("top", "bottom"): "above", ("bottom", "top"): "below"}
ANYWHERE = {
    rf"(?i:^\s*(?:{_MAKE})?(?:(?:an? |the )?(?:{_KINDS}) of )?)": "",
    r"(?i:,? please)?[\s.!?]*$": "",
    **{
        rf"(?i:(?<! one) {_AT} {here},?(?: and)? (?P<rest>(?!one\b).+) {_AT} {there}\b)": (
            rf" {way} \g<rest>"
        )
        for (here, there), way in _WAYS.items()
    },
    r"(?i:(?<! one) (?:at|on) (?=(?:left|right|top|bottom)(?! of)\b))": " at the ",
    r"\b[Gg]ray\b": "grey",
    **{
        rf"(?:^|(?<=, )|(?<=\band )|(?<=\bof )){digit} (?=[a-z])": f"{word} "
        for digit, word in NUMBERS.items()
    },
    rf"(?i:(?P<how>{_BEFORE}) (?={_GROUND}$)(?=orange))": r"\g<how> an ",
    rf"(?i:(?P<how>{_BEFORE}) (?={_GROUND}$))": r"\g<how> a ",
}
# And of what stands between two things, or is said of one alone or of each. Who stands below or
# right of another one is said to.
_LEFT = "(?:to (?:the )?)?left of"
BETWEEN = {
    f"{_AS}(?:over|on top of|on|above)|riding": "above",
    f"{_AS}(?:under|below|beneath)|wearing": "below",
    r",(?: and)?|and|&|\+|[a-z]+ing": "left of",
    f"{_AS}(?:next to|beside|near|around|by|at|behind|in front of|with|in|inside(?: of)?|{_LEFT})":
        "left of",
}  # fmt: skip
# Three and four things are listed, one of several as often as there are.
SEVERAL = (", ", " and ")
TIMES = {f"{word} of (?P<one>.+)": number for number, word in NUMBERS.items()}
_DYES = f"(?P<look>{'|'.join(DYES)})"
_THERE = f"(?P<there>(?: (?:at|on)(?: the)? (?:left|right|top|bottom))?(?: on {_ON})?)"
_VOWEL = "(?i:(?!one|uni|eu)[aeiou])"
_ARTICLES = (("an?", _VOWEL, "an"), ("an?", "", "a"), ("the", "", "the"))
_MANY = "(?P<many>two|three|four)"
# Two red dogs are two of a dog dyed red, two flags of Italy two of the flag: our captions say so.
_IN_IE = ("cook", "gen", "mov", "self", "smooth", "zomb", "neckt", r"\bp", r"\bt")
_ONES = {
    "(?<!Ye)men": "man",
    "people": "person",
    "children": "child",
    "mice": "mouse",
    "feet": "foot",
    "teeth": "tooth",
    f"(?:{'|'.join(f'(?<={word})' for word in _IN_IE)})ies": "ie",
    "(?<=[^aeiou])ies": "y",
    "(?:(?<=ss|ch|sh)es|(?<=x)es|(?<=bus|tus|pus)es|(?<![us])s|(?<=us|ss)|(?<=fish)|(?<=sheep))":
        "",
}  # fmt: skip
_TAIL = f"(?P<tail>(?: (?:of|with|without|in|on|behind|from)(?! {_ON}$) .+?)?)"
_TWO = {
    f"{number} (?:small |tiny |little )?{look}(?!of )(?P<rest>.*?){many}{_TAIL}{_THERE}":
        rf"\g<many> of a \g<rest>{one}\g<tail>{dyed}\g<there>"
    for number, look, dyed in (
        (_MANY, f"{_DYES} ", r" dyed \g<look>"),
        (f"(?P<look>{_MANY})", "", ""),
    )
    for many, one in _ONES.items()
}  # fmt: skip
_SIZES = "small|tiny|little|big|large|huge"
# Whoever says two sizes means something else: the keywords of a zany face are `large` and `small`.
_ONE_SIZE = rf"(?!(?:{_SIZES})\b)"


def _unsized(sizes: str) -> dict[str, str]:
    """What is read without these."""
    return {
        f"{asked}(?P<look>{sizes}) {_ONE_SIZE}(?P<rest>{first}.+)": rf"{read}\g<rest>"
        for asked, first, read in (*((f"{a} ", b, f"{c} ") for a, b, c in _ARTICLES), ("", "", ""))
    }


ALONE = {
    rf"(?P<a>(?:(?:an?|the) )?)(?P<look>tiny|little) {_ONE_SIZE}(?P<rest>.+)":
        r"\g<a>small \g<rest>",
    **_unsized("big|large|huge"),
    rf"(?P<a>(?:(?:a|the) )?)small {_DYES} (?P<rest>.+?){_THERE}":
        r"\g<a>small \g<rest> dyed \g<look>\g<there>",
    **_TWO,
    rf"{_MANY} of a (?P<look>)(?P<rest>flag of .+)": r"\g<many> of the \g<rest>",
    rf"{_MANY} of a (?P<look>)(?P<rest>{_VOWEL}.+)": r"\g<many> of an \g<rest>",
}  # fmt: skip
_AFTER, _ENDS = "(?P<after>.*)", f"(?={_BEHIND}| on {_ON}$|$)"
_OF_TWO = "(?P<two>two of (?:(?! side by side| one above the other).)+?)"
_UPON = "above|below|over|under|on top of"
_EACH_OTHER = "(?:each other|one another)"
# Whoever says no background gets white, which all captions of our scenes would say: without one a
# dye goes there, and what is alone becomes small.
GROUND_SAID = rf".*(?:\b(?:background\b|backdrop\b|{_FIELD})| on {_ON}$)"
WHOLE = {
    rf"{_OF_TWO}(?:,? one on top and one below| (?:{_UPON}) {_EACH_OTHER}){_AFTER}":
        r"\g<two> one above the other\g<after>",
    rf"{_OF_TWO}(?: in (?:a )?row| (?:next to|beside|near|behind) {_EACH_OTHER}|{_ENDS}){_AFTER}":
        r"\g<two> side by side\g<after>",
    rf"(?P<many>(?:three|four) of .+?)(?:{_ARRANGED}){_AFTER}": r"\g<many>\g<after>",
    rf"(?!{GROUND_SAID})(?P<all>.+)": r"\g<all> on a white background",
}  # fmt: skip
# What our captions say of a part that is redrawn in a picture, which people leave to the picture.
_SMALL = rf"(?!.*\b(?:{_SIZES})\b)"
GROUNDS = {
    f"on a{'n' * (colour[0] in 'aeiou')} {colour} background": rgb
    for colour, rgb in COLOURS.items()
}
MIDDLES = {
    f"at the {place}" * (place != "centre"): (0.25 + x / 2, 0.25 + y / 2)
    for place, (x, y) in PLACES.items()
}
NOUNS = {
    "(flag of .+)": r"the \1",
    f"({_VOWEL}.*)": r"an \1",
    "(.+)": r"a \1",
}
# Where each of three things stands, and of four.
QUARTERS = tuple(
    tuple((0.25 + x / 2, 0.25 + y / 2) for x, y in places) for places in EVERY.values()
)
LAYOUTS = {
    f"{{}} {relation} {{}}": (MIDDLES[f"at the {one}"], MIDDLES[f"at the {other}"])
    for relation, one, other in (("left of", "left", "right"), ("above", "top", "bottom"))
} | {listed(["{}"] * len(places)): places for places in QUARTERS}
SMALLER = {
    rf"{_SMALL}an? (?P<rest>.+)": r"a small \g<rest>",
    rf"{_SMALL}the (?P<rest>.+)": r"the small \g<rest>",
    rf"{_SMALL}(?!two of )(?P<rest>.+)": r"small \g<rest>",
}
# Our captions say an article of everything, and two things are told apart by theirs; who says
# several of a thing, or whose they are, has said something else.
_NO_ARTICLE = rf"(?!(?:{_THESE}|\d+|many|several) )(?!.*(?<![su])s$)"
_NO_CROWD = r"(?!(?:people|men|women|children|mice|feet|teeth)\b(?!’))"
BOTH = {
    **_unsized(_SIZES),
    rf"(?P<look>){_NO_ARTICLE}(?P<rest>flag of .+)": r"the \g<rest>",
    rf"(?P<look>){_NO_ARTICLE}{_NO_CROWD}(?P<rest>{_VOWEL}.*)": r"an \g<rest>",
    rf"(?P<look>){_NO_ARTICLE}{_NO_CROWD}(?P<rest>.+)": r"a \g<rest>",
}
EACH = {
    f"{asked}{_DYES} (?!and )(?P<rest>{first}.+?){_THERE}":
        rf"{read}\g<rest> dyed \g<look>\g<there>"
    for asked, first, read in (*((f"{a} ", b, f"{c} ") for a, b, c in _ARTICLES), ("", "", ""))
}  # fmt: skip
