"""Which counted classes a class is like: by its name, by names for the same, by common words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from typing import NamedTuple

from rlld.data.rates.table import Row

SAME = 1.0
LEAST = 0.5
"""Share of common words from which a class is like another one."""

PASSED_OVER = frozenset(
    (
        *("a", "an", "and", "or", "of", "the", "on", "in", "by", "to", "with", "from", "for"),
        *("people", "person", "play", "playing", "running", "using", "other", "generic"),
        *("sound", "sounds", "noise", "music", "musical", "instrument"),
    )
)
"""Words that tell no class from another."""

THE_SAME = (
    "speech|speaking|talk|talking|conversation|voice|narration|human voice|"
    "male speech, man speaking|female speech, woman speaking|child speech, kid speaking",
    "male speech|man speaking|man talking|male speech, man speaking",
    "female speech|woman speaking|woman talking|female speech, woman speaking",
    "child speech|children speaking|kid speaking|child speech, kid speaking",
    "singing|song|vocals|singer|male singing|female singing|child singing",
    "laughter|laughing|laugh|people belly laughing|people giggling|people sniggering",
    "baby laughter|baby laughing|laughter",
    "baby crying|baby cry|cry|crying|baby cry infant cry|crying, sobbing|infant crying",
    "cheering|cheer|crowd cheering|people cheering",
    "clapping|applause|applauding|people clapping|hand clapping",
    "crowd|people crowd",
    "screaming|scream|people screaming",
    "dancing|dance|tap dancing",
    "running footsteps|footsteps|people running|footsteps on snow",
    "whistling|people whistling",
    "coughing|cough|people coughing",
    "dog|dog barking|dogs|puppy|dog bow-wow|dog growling|dog howling|dog whimpering|dog baying",
    "dog barking|bark|barking|dog bark|dog bow-wow|dog",
    "cat|cats|kitten|meow|cat caterwauling|cat growling|cat hissing|cat meowing|cat purring",
    "chicken|rooster|hen|chicken rooster|chicken clucking|chicken crowing",
    "rooster|crowing|cock|chicken crowing|chicken rooster",
    "horse|horses|horse clip-clop|horse neighing|neigh",
    "bird|birds|birdsong|bird singing|bird chirping, tweeting|bird squawking",
    "mouse|rodent|rodents|rat|mouse squeaking|mouse pattering",
    "cow|cattle|moo|cattle mooing|cow lowing|bull bellowing",
    "sheep|sheep bleating|goat|goat bleating",
    "pig|pig oinking|oink",
    "duck|duck quacking|goose|goose honking",
    "frog|frog croaking",
    "bee|insect|bee, wasp, etc. buzzing|fly, housefly buzzing|mosquito buzzing",
    "lion|lions roaring|lions growling",
    "car|cars|automobile|car passing by|vehicle|car driving",
    "race car|race car auto racing|race car, auto racing",
    "motorcycle|motorbike|driving motorcycle",
    "bus|driving buses",
    "truck|ice cream truck, ice cream van",
    "train|railroad car, train wagon|train horning|train wheels squealing|train whistling",
    "bicycle|bike|cycling",
    "helicopter|helicopters",
    "airplane|aeroplane|aircraft|plane|fixed-wing aircraft|airplane flyby|jet",
    "boat|motorboat|ship|motorboat, speedboat acceleration",
    "fire alarm|smoke alarm|smoke detector|alarm|smoke detector beeping",
    "alarm|alarm bell|siren|alarm clock ringing|smoke detector beeping|civil defense siren",
    "siren|police car siren|police car (siren)|ambulance siren|fire truck siren|"
    "civil defense siren|emergency vehicle",
    "fire truck|fire engine|fire truck siren",
    "ambulance|ambulance siren",
    "car alarm|car horn|honking|vehicle horn, car horn, honking",
    "church bell|bell|bells|church bell ringing",
    "telephone|phone|phone ringing|telephone bell ringing|ringtone|cell phone buzzing",
    "clock|alarm clock|alarm clock ringing",
    "chainsaw|chain saw|chainsawing trees",
    "lawn mower|mower|lawnmower|lawn mowing",
    "vacuum cleaner|vacuum|hoover|vacuum cleaner cleaning floors",
    "blender|mixer|eletric blender running|electric blender",
    "hair dryer|hair dryer drying",
    "sewing machine|using sewing machines",
    "typing|keyboard|typing on computer keyboard",
    "hammer|hammering|hammering nails",
    "toilet|toilet flush|toilet flushing",
    "frying|frying food|frying (food)|sizzling|cooking",
    "basketball|basketball bounce|playing basketball",
    "accordion|playing accordion",
    "banjo|playing banjo",
    "cello|playing cello",
    "violin|fiddle|violin fiddle|playing violin, fiddle",
    "guitar|acoustic guitar|playing acoustic guitar|playing electric guitar",
    "acoustic guitar|playing acoustic guitar|guitar",
    "electric guitar|playing electric guitar",
    "piano|playing piano|pianist",
    "drum|drums|drummer|drum kit|playing drum kit|playing snare drum|playing bass drum",
    "flute|playing flute",
    "trumpet|playing trumpet",
    "saxophone|playing saxophone",
    "ukulele|playing ukulele",
    "mandolin|playing mandolin",
    "harmonica|playing harmonica",
    "shofar|playing shofar",
    "badminton|playing badminton",
    "volleyball|playing volleyball",
    "tennis|playing tennis",
    "ping-pong|table tennis|playing ping-pong|playing table tennis",
    "football|soccer|playing soccer|shot football",
    "frisbee|playing frisbee",
    "rain|raining",
    "wind|wind noise",
    "waves|ocean|sea|sea waves|ocean burbling",
    "waterfall|waterfall burbling",
    "stream|river|stream burbling",
    "thunder|thunderstorm",
    "fireworks|firework|fireworks banging",
    "fire|fire crackling",
    "gunshot|gun|machine gun shooting|cap gun shooting",
)
"""Lines of names for the same thing; the first ones are what people say, then what sources say."""


class Like(NamedTuple):
    """A counted class that a class is like.

    Attributes:
        row: What was counted.
        similarity: How much it is like it, in (0, 1].
    """

    row: Row
    similarity: float


def plain(name: str) -> str:
    """Returns a name in small letters, its words parted by single blanks.

    Examples:
        >>> plain("Frying_(food)")
        'frying food'
    """
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))


def words(name: str) -> frozenset[str]:
    """Returns the words of a name that tell it from others, in the singular.

    Examples:
        >>> sorted(words("Playing_acoustic_guitars"))
        ['acoustic', 'guitar']
    """
    parts = plain(name).split()
    telling = [part for part in parts if part not in PASSED_OVER] or parts
    return frozenset(re.sub(r"(?<=\w\w\w)(?<!s)s$", "", part) for part in telling)


def likes_of(name: str, table: Collection[Row]) -> list[Like]:
    """Finds the counted classes that a class is like: the nearest kind of likeness there is.

    Args:
        name: The class.
        table: The rows to look through.

    Returns:
        The rows that have its name or another name for the same; where there are none, those that
        share at least half of the words, the most similar ones alone; empty where none does.
    """
    meant = {plain(name)} | _others(plain(name))
    same = [Like(row, SAME) for row in table if plain(row.label) in meant]
    if same:
        return same
    own = words(name)
    near = [Like(row, common(own, words(row.label))) for row in table]
    best = max((like.similarity for like in near), default=0.0)
    return [like for like in near if like.similarity >= max(best, LEAST)]


def common(first: frozenset[str], second: frozenset[str]) -> float:
    """Returns the share of all words that two names have in common."""
    return len(first & second) / max(len(first | second), 1)


@cache
def _lines() -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(plain(name) for name in line.split("|")) for line in THE_SAME)


def _others(name: str) -> set[str]:
    """Returns names for the same: of the line that begins with it, else of all that hold it."""
    lines: Iterable[tuple[str, ...]] = [line for line in _lines() if line[0] == name]
    return {other for line in lines or _holding(name) for other in line}


def _holding(name: str) -> list[tuple[str, ...]]:
    found = [line for line in _lines() if name in line]
    return sorted(found, key=len)[:1]
