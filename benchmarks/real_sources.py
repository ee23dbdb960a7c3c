"""Real photographs and recordings out of Debian's packages, by class.

The packages are downloaded and unpacked into a folder, nothing is installed. Photographs of
``tuxpaint-stamps-default`` are cut out (an alpha channel says what belongs to the thing), the
others are whole pictures. What each file is was looked at once; drawings of the classes are left
out.
"""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

PACKAGES = ("tuxpaint-stamps-default", "gcompris-qt-data", "scratch")
RATE = 16000
LARGEST = 420
"""Pixels of the longer side that a photograph is kept at; clips are smaller."""

STAMPS = "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
SCRATCH = "scratch/usr/share/scratch/Media"
QT = "gcompris-qt-data/usr/share/gcompris-qt/rcc"
"""Where Qt's resource files lie; their contents are unpacked beside them, one folder for each."""

FOLDERS = {
    "stamps": STAMPS,
    "house": f"{STAMPS}/household",
    "food": f"{STAMPS}/food",
    "rest": QT,
    "animals": f"{STAMPS}/animals/mammals",
    "birds": f"{STAMPS}/animals/birds",
    "frogs": f"{STAMPS}/animals/amphibians",
    "music": f"{STAMPS}/hobbies/music",
    "vehicles": f"{STAMPS}/vehicles",
    "farm": f"{QT}/explore_farm_animals/animals",
    "erase": f"{QT}/erase",
    "puppy": f"{QT}/babyshapes/dog1",
    "play": f"{QT}/instruments",
    "heard": f"{QT}/memory-sound",
    "traffic": f"{QT}/traffic",
    "sounds": f"{SCRATCH}/Sounds",
    "loops": f"{SCRATCH}/Sounds/Music Loops",
}


@dataclass(frozen=True)
class Class:
    """A class and what there is of it.

    Attributes:
        pictures: Files of photographs.
        sounds: Files of recordings.
        heard: Share of its tags that are heard only.
        seen: Share of its tags that are seen only; the rest is both.
    """

    pictures: tuple[str, ...]
    sounds: tuple[str, ...]
    heard: float
    seen: float


def _files(names: str) -> tuple[str, ...]:
    parts = (name.split("/", 1) for name in names.split())
    return tuple(f"{FOLDERS[folder]}/{rest}" for folder, rest in parts)


def _class(pictures: str, sounds: str, heard: float, seen: float) -> Class:
    return Class(_files(pictures), _files(sounds), heard, seen)


CLASSES = {
    "Dog": _class(
        "animals/dogs/dog.png animals/dogs/dingo.png farm/dog.webp puppy/dog2.webp puppy/dog3.webp",
        "animals/dogs/dog.ogg farm/dog.ogg heard/LRBark_1_LA_cut.ogg heard/LRBark_3_LA_cut.ogg "
        "sounds/Animal/Dog1.wav sounds/Animal/Dog2.wav",
        *(0.35, 0.15),
    ),
    "Cat": _class(
        "farm/cat.webp erase/kitten.webp",
        "farm/cat.ogg sounds/Animal/Cat.mp3 sounds/Animal/Meow.wav sounds/Animal/Kitten.wav",
        *(0.20, 0.40),
    ),
    "Cow": _class(
        "animals/bovines/cow.png animals/bovines/cow_white.png animals/bovines/bull.png "
        "farm/cow.webp erase/calf.webp",
        "animals/bovines/cow.ogg animals/bovines/cow_white.ogg animals/bovines/bull.ogg "
        "farm/cow.ogg",
        *(0.15, 0.35),
    ),
    "Horse": _class(
        "animals/equines/horse.png farm/horse.webp erase/horse.webp",
        "animals/equines/horse.ogg farm/horse.ogg sounds/Animal/Horse.wav "
        "sounds/Animal/HorseGallop.wav",
        *(0.15, 0.45),
    ),
    "Duck": _class(
        "birds/duck.png birds/drake.png farm/duck.webp",
        "birds/duck.ogg birds/drake.ogg farm/duck.ogg sounds/Animal/Duck.wav",
        *(0.30, 0.20),
    ),
    "Sheep": _class(
        "animals/bovines/sheep.png animals/bovines/sheep_lamb.png animals/bovines/ram.png "
        "farm/sheep.webp",
        "animals/bovines/sheep.ogg animals/bovines/sheep_lamb.ogg animals/bovines/ram.ogg "
        "farm/sheep.ogg",
        *(0.25, 0.25),
    ),
    "Chicken": _class(
        "birds/hen.png birds/rooster.png birds/chicken_profile.png farm/chicken.webp",
        "birds/hen.ogg birds/rooster.ogg farm/chickens.ogg sounds/Animal/Rooster.wav",
        *(0.45, 0.10),
    ),
    "Pig": _class(
        "animals/pig.png animals/pig_golden.png animals/pig_golden2.png farm/pig.webp",
        "animals/pig.ogg animals/pig_golden.ogg animals/pig_golden2.ogg farm/pig.ogg",
        *(0.20, 0.30),
    ),
    "Owl": _class(
        "birds/owl.png farm/owl.webp",
        "birds/owl.ogg farm/owl.ogg sounds/Animal/Owl.wav",
        *(0.50, 0.10),
    ),
    "Guitar": _class(
        "music/string/guitar2.png music/string/guitar_classical.png "
        "music/string/guitar_electric.png",
        "play/guitar.ogg play/electric_guitar.ogg heard/guitar_melody.ogg "
        "sounds/Instruments/GuitarStrum.wav loops/GuitarChords1.mp3 "
        "loops/GuitarChords2.mp3",
        *(0.40, 0.10),
    ),
    "Drum": _class(
        "music/percussion/drum_tomtom_floor.png music/percussion/drumkit.png",
        "music/percussion/drum_tomtom_floor.ogg music/percussion/drumkit.ogg play/drum_kit.ogg "
        "play/snare_drum.ogg loops/DrumSet1.mp3 loops/DrumSet2.mp3",
        *(0.45, 0.05),
    ),
    "Violin": _class(
        "music/string/violin.png",
        "music/string/violin.ogg play/violin.ogg",
        *(0.35, 0.10),
    ),
    "Car": _class(
        "vehicles/auto/beetle.png vehicles/auto/sedan.png vehicles/auto/sportscar2.png",
        "heard/LRStartAndStopCarEngine1LACut.ogg sounds/Effects/CarPassing.wav traffic/car.wav",
        *(0.20, 0.50),
    ),
    "Fire truck": _class(
        "vehicles/emergency/firetruck.png",
        "vehicles/emergency/firetruck.ogg",
        *(0.30, 0.25),
    ),
}
"""The classes, with shares of wrong tags like LLP's."""

PLACES = (f"{SCRATCH}/Backgrounds", f"{QT}/explore_monuments", f"{QT}/categorization/images")
"""Folders of photographs that show none of the classes: places, buildings, tools, fishes."""

THINGS = _files(
    "house/kettle.png house/toilet.png house/tools/hammer.png house/tools/saw.png food/pizza.png "
    "food/fruit/kiwi.png food/fruit/avocado.png stamps/plants/eggplant.png "
    "stamps/plants/flowers/daffodil.png stamps/animals/fish/seahorse.png animals/elephant.png "
    "animals/giraffe.png birds/penguin.png birds/peacock.png stamps/hobbies/binoculars.png "
    "vehicles/flight/balloon360.png stamps/sports/basketball.png animals/apes/gorilla.png "
    "animals/cats/tiger.png"
)
"""Cut-out photographs of none of the classes."""

NOISES = _files(
    "heard/LRRain_in_garden_01_LA_cut.ogg heard/LRApplauses_1_LA_cut.ogg "
    "heard/LRFactory_noise_04_LA.ogg heard/LRDoor_Open_2_LA.ogg heard/LRHits_01_LA.ogg "
    "rest/watercycle/harbor1.wav rest/watercycle/harbor2.wav rest/canal_lock/water_fill.wav "
    "rest/canal_lock/door_open.wav rest/explore_world_music/music/africa.ogg "
    "rest/explore_world_music/music/japan.ogg rest/guessnumber/helicopter.wav "
    "sounds/Human/PartyNoise.wav sounds/Human/Footsteps-2.mp3 sounds/Human/Laugh-male3.mp3 "
    "sounds/Human/BabyCry.mp3 sounds/Human/Cough-male.wav sounds/Effects/WaterRunning.mp3 "
    "sounds/Effects/Typing.mp3 sounds/Effects/SewingMachine.mp3 sounds/Animal/Crickets.wav "
    "sounds/Instruments/Dijjeridoo.mp3"
)
"""Recordings of none of the classes."""


def unpack(cache: Path) -> None:
    """Downloads and unpacks what is not in ``cache`` yet."""
    cache.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        folder = cache / package
        if folder.exists():
            continue
        if not list(cache.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], cwd=cache, check=True)
        (deb,) = cache.glob(f"{package}_*.deb")
        aside = cache / f"{package}.part"
        subprocess.run(["dpkg", "-x", deb, aside], check=True)
        for resources in sorted(aside.rglob("*.rcc")):
            for name, data in _resources(resources):
                path = resources.with_suffix("") / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        aside.rename(folder)


def places(cache: Path) -> list[str]:
    """Returns the photographs that clips have for a background."""
    files = (path for folder in PLACES for path in (cache / folder).rglob("*.*"))
    return sorted(str(p.relative_to(cache)) for p in files if p.suffix in (".jpg", ".webp"))


@cache
def picture(path: Path) -> Image.Image:
    """Reads a photograph, RGBA where it is cut out and RGB where not."""
    with Image.open(path) as opened:
        image = opened.convert("RGBA")
    if image.getextrema()[3][0] == 255:
        image = image.convert("RGB")
    else:
        image = image.crop(image.getchannel("A").getbbox())
    image.thumbnail((LARGEST, LARGEST))
    return image


@cache
def recording(path: Path) -> NDArray[np.float32]:
    """Reads a recording: mono, 16 kHz, without the silence at its ends, as loud as all others."""
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(path)) as container:
        decoded = container.decode(audio=0)
        parts = [part for frame in decoded for part in resampler.resample(frame)]
        parts += resampler.resample(None)
    wave = np.concatenate([part.to_ndarray().ravel() for part in parts])
    loud = np.flatnonzero(np.abs(wave) > 0.03 * np.abs(wave).max())
    wave = wave[loud[0] : loud[-1] + 1][: 8 * RATE]
    result: NDArray[np.float32] = (0.1 * wave / np.sqrt(np.mean(wave**2))).astype(np.float32)
    return result


def _resources(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the pictures and sounds of a file of Qt's resource compiler, by name.

    A tree of nodes (22 bytes), names in UTF-16 and data, each by an offset from the head. The node
    of a folder holds the number and place of its children, that of a file the place of its data.
    """
    data = path.read_bytes()
    tree, contents, names = struct.unpack(">3I", data[8:20])

    def name(offset: int) -> str:
        (length,) = struct.unpack_from(">H", data, names + offset)
        return data[names + offset + 6 :][: 2 * length].decode("utf-16-be")

    def walk(node: int, inside: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], bytes]]:
        place = tree + 22 * node
        title, flags = struct.unpack_from(">IH", data, place)
        where = (*inside, name(title)) if node else inside
        if flags & 2:
            number, first = struct.unpack_from(">II", data, place + 6)
            for child in range(first, first + number):
                yield from walk(child, where)
            return
        (offset,) = struct.unpack_from(">I", data, place + 10)
        (length,) = struct.unpack_from(">I", data, contents + offset)
        body = data[contents + offset + 4 :][:length]
        yield where, zlib.decompress(body[4:]) if flags & 1 else body

    for where, body in walk(0, ()):
        if where[-1].endswith((".webp", ".ogg", ".wav")) and "resource" in where:
            # gcompris/src/activities/NAME/resource/..., one activity in each file.
            below = where[where.index("resource") + 1 :]
            yield "/".join(below), body
