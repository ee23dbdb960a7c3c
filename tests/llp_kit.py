"""Annotation files like LLP's, of invented videos: small enough to count by hand, with every trap.

Traps of the ids: a dash in front, dashes and low lines within, decimal times; rows of unknown
videos, two of them with a YouTube id that was cut short and one with a mistyped time. Traps of the
rows: empty and reversed ones, rows that repeat, overlap or touch others, rows of a video that do
not stand together, a test video among the validation videos, a label given twice. Traps of the
videos: nothing audible, nothing visible, neither; labels that nothing shows, events that no label
names, a video of seven labels.
"""

from __future__ import annotations

from pathlib import Path

from rlld.data.annotations import DENSE_HEADER, WEAK_HEADER

AUDIO, DAMAGED, VISUAL = (
    "AVVP_eval_audio.csv",
    "AVVP_eval_audio_corrupt.csv",
    "AVVP_eval_visual.csv",
)
WEAK = {
    "AVVP_train.csv": """\
-aTrain_001_30_40 Speech,Dog
bTrain00002_101.8_111.8 Accordion
c_Train-003_0_10 Speech,Singing
dTrain00004_8.5_18.5 Speech,Dog
eTrain00005_30_40 Helicopter
fTrain00006_30_40 Speech,Clapping,Cheering
gTrain00007_10_20 Cat,Speech
hTrain00008_400_410 Vacuum_cleaner
""",
    "AVVP_val_pd.csv": """\
-bValid_001_30_40 Speech,Dog
bValid00002_30_40 Violin_fiddle
c_Valid-003_390_400 Cheering
dValid00004_20_30 Speech,Car
eValid00005_30_40 Singing
fValid00006_40_50 Dog,Cat,Speech
""",
    "AVVP_test_pd.csv": """\
-cTest00001_30_40 Blender,Speech
bTest_00002_23_33 Baby_cry_infant_cry
cTest-00003_2_12 Baby_cry_infant_cry
dTest000004_20_30 Clapping,Clapping
eTest000005_220_230 Speech
fTest000006_30_40 Speech,Dog
gTest000007_10_20 Cat
hTest000008_160_170 Speech,Motorcycle,Dog,Cat,Car,Clapping,Cheering
""",
}
DENSE = {
    AUDIO: """\
bTest_00002_23_33 0 4 Baby_cry_infant_cry
-cTest00001_30_40 8 10 Blender
-cTest00001_30_40 0 8 Speech
cTest-00003_2_12 0 0 Baby_cry_infant_cry
dTest000004_20_30 2 5 Clapping
dTest000004_20_30 5 7 Clapping
eTest000005_220_230 0 3 Speech
eTest000005_220_230 1 5 Speech
eTest000005_220_230 4 6 Speech
eTest000005_220_230 4 6 Speech
eTest000005_220_230 9 9 Speech
fTest000006_30_40 0 4 Speech
fTest000006_30_40 7 10 Speech
fTest000006_30_40 3 8 Dog
gTest000007_10_20 0 1 Cat
gTest000007_10_20 4 6 Cat
Test00009_10_20 1 3 Dog
-bValid_001_30_40 0 10 Speech
-bValid_001_30_40 10 10 Dog
bValid00002_30_400 0 5 Violin_fiddle
bValid00002_30_40 0 10 Violin_fiddle
hTest000008_160_170 0 2 Motorcycle
hTest000008_160_170 6 8 Speech
c_Valid-003_390_400 9 0 Cheering
eValid00005_30_40 2 4 Singing
fValid00006_40_50 1 3 Dog
eValid00005_30_40 6 9 Singing
fValid00006_40_50 5 9 Speech
Valid_0007_570_580 9 9 Cat
""",
    VISUAL: """\
bTest_00002_23_33 0 10 Baby_cry_infant_cry
-cTest00001_30_40 0 10 Blender
eTest000005_220_230 2 6 Speech
dTest000004_20_30 0 3 Clapping
dTest000004_20_30 3 9 Clapping
fTest000006_30_40 0 10 Dog
gTest000007_10_20 0 10 Cat
gTest000007_10_20 2 5 Dog
hTest000008_160_170 0 2 Motorcycle
hTest000008_160_170 6 8 Car
bValid00002_30_400 0 5 Violin_fiddle
-bValid_001_30_40 0 10 Dog
bValid00002_30_40 1 10 Violin_fiddle
dValid00004_20_30 4 8 Car
fValid00006_40_50 1 4 Dog
fValid00006_40_50 0 10 Accordion
Valid_0007_570_580 0 1 Cat
""",
}
LOST = ("fTest000006_30_40\t0\t4", "fTest000006_30_40\t7\t10")
"""The rows whose video the damaged audio file has lost: a class stands in its place."""

MARKED = "gTest000007_10_20\t0\t1"
"""The row in which a mark follows the video in the damaged audio file."""

REAL_LOST = ("JfZEqeLZqWk_30_40\t0\t4", "JfZEqeLZqWk_30_40\t7\t10")
REAL_MARKED = "KvIjsmANkxI_10_20\t0\t1"


def write_llp(folder: Path) -> Path:
    """Writes the annotation files, the damaged audio file among them, and returns their folder."""
    weak, dense = "\t".join(WEAK_HEADER) + "\n", "\t".join(DENSE_HEADER) + "\n"
    texts = {name: weak + rows.replace(" ", "\t") for name, rows in WEAK.items()}
    texts["AVVP_dataset_full.csv"] = weak + "".join(WEAK.values()).replace(" ", "\t")
    texts |= {name: dense + rows.replace(" ", "\t") for name, rows in DENSE.items()}
    texts[DAMAGED] = damaged(texts[AUDIO], LOST, MARKED)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def damaged(text: str, lost: tuple[str, ...] = REAL_LOST, marked: str = REAL_MARKED) -> str:
    """Damages an audio file as the one is that most publications used."""
    for row in lost:
        text = _swapped(text, row, row.replace(row.split("\t")[0], "Baby_cry_infant_cry"))
    return _swapped(text, marked, marked.replace("\t", "`\t", 1))


def _swapped(text: str, row: str, other: str) -> str:
    assert text.count(f"\n{row}\t") == 1, row
    return text.replace(f"\n{row}\t", f"\n{other}\t")
