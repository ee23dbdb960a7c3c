"""The sizes of simulated data and the constants that set their difficulty."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from rlld.data.lengths import schedule

Name = Literal["compact", "llp"]

DIMENSIONS = 40
"""Dimensions in which segments are drawn, before any lift."""

SHARING = 20
"""Number of background vectors."""

CONFUSED = (
    ("Speech", "Singing", "Baby_laughter", "Baby_cry_infant_cry"),
    ("Car", "Motorcycle", "Lawn_mower", "Helicopter"),
    ("Chainsaw", "Lawn_mower", "Vacuum_cleaner", "Blender", "Frying_(food)"),
    ("Cello", "Violin_fiddle"),
    ("Banjo", "Acoustic_guitar", "Accordion"),
    ("Cheering", "Clapping", "Speech"),
    ("Chicken_rooster", "Dog", "Cat"),
    ("Basketball_bounce", "Cheering"),
    ("Fire_alarm", "Telephone_bell_ringing"),
)
"""Groups of classes of LLP that look or sound alike."""


@dataclass(frozen=True)
class Difficulty:
    """What one modality is made of; strengths are relative to an event of amplitude 1.

    Attributes:
        confusion: Share of its confusion groups in a class prototype.
        sub: Strength of the sub-prototype that a video draws for its class.
        amplitude_sd: Spread of the logarithm of an event's amplitude between videos.
        segment_sd: The same between segments.
        instance: Strength of what makes this instance of the class unlike others.
        context: Strength of the class's surroundings, there for every weak label whether or not
            the event is perceived in this modality.
        distractor: Chance that a segment holds a piece of some other class's prototype.
        distractor_amplitude: Largest amplitude of such a piece.
        background: Strength of one of 20 backgrounds.
        nuisance: Strength of the video's own vector, and again of the one that both modalities
            share.
        noise: Strength of white noise in each segment.
        sub_prototypes: Sub-prototypes per class.
    """

    confusion: float
    sub: float
    amplitude_sd: float
    segment_sd: float
    instance: float
    context: float
    distractor: float
    distractor_amplitude: float
    background: float
    nuisance: float
    noise: float
    sub_prototypes: int = 4


WORLD = 0
"""Seed of what all simulations share: how the classes look and sound, and the lifts."""

AUDIO = Difficulty(0.8, 0.7, 0.5, 0.3, 1.25, 0.1, 0.1, 1.0, 1.0, 1.0, 1.5)
VISUAL = Difficulty(0.6, 0.5, 0.5, 0.2, 0.6, 0.28, 0.2, 1.0, 0.6, 0.6, 0.6)


@dataclass(frozen=True)
class Stream:
    """One feature stream.

    Attributes:
        modality: Whose segments it shows: 0 audio, 1 visual.
        dim: Its dimensions; segments are lifted when they differ from the drawn ones.
        gain: Factor of the lifted segments, so that features have a standard deviation near 0.8.
        noise: Standard deviation of the white noise of a lifted segment.
    """

    modality: int
    dim: int = DIMENSIONS
    gain: float = 1.0
    noise: float = 0.0


@dataclass(frozen=True)
class Preset:
    """A size of simulated data.

    Attributes:
        streams: Feature streams by name.
        overrides: Recipe settings that the data need.
        few: Those that take their place below ``FEW`` training videos, the schedule that these
            need beside them; the same when empty.
        videos: Number of training, validation and test videos when nothing else is asked for.
    """

    streams: dict[str, Stream]
    overrides: dict[str, Any] = field(default_factory=dict)
    few: dict[str, Any] = field(default_factory=dict)
    videos: tuple[int, int, int] = (10_000, 649, 1_200)

    def settings(self, videos: int) -> dict[str, Any]:
        """Returns the recipe settings that so many training videos need."""
        if videos >= FEW or not self.few:
            return self.overrides
        return {**self.few, **schedule(videos)}


FEW = 1500
"""Training videos below which the settings of ten thousand cost 4 to 6 points of Type."""

# Eight frames with noise of 0.2 each are averaged when features are packed; the mean of their
# noise is drawn at once.
FRAME_NOISE = 0.2 / 8**0.5

# Scores are drawn so that no class needs a threshold of its own.
SCORES: dict[str, Any] = {
    "denoiser.audio_thresholds": [0.0],
    "denoiser.visual_thresholds": [0.0],
}

PRESETS: dict[Name, Preset] = {
    "compact": Preset(
        {"audio": Stream(0), "visual_2d": Stream(1)},
        {
            "network.hidden": 40,
            # JoMoLD's 0.5 is for a width of 512; at 40 it costs every recipe 2 to 5 points of Type.
            "network.visual_dropout": 0.0,
            "denoiser.hidden": 40,
            "schedule.batch_size": 128,
            "schedule.updates": 960,
            "schedule.learning_rate": 2e-3,
            "schedule.milestones": [0.4, 0.75],
            "schedule.gamma": 0.3,
            **SCORES,
        },
        {
            "network.hidden": 128,
            "network.visual_dropout": 0.0,
            "denoiser.hidden": 128,
            **SCORES,
        },
    ),
    "llp": Preset(
        {
            "audio": Stream(0, 128, 0.83),
            "visual_2d": Stream(1, 2048, 5.5, FRAME_NOISE),
            "visual_3d": Stream(1, 512, 2.75),
        },
        SCORES,
    ),
}
