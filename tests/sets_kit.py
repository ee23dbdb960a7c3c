"""Files like those of published data sets, of invented videos: small, with every trap."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

LFAV = {
    "train/train_weakly.csv": """\
filename event_labels
-aTrain_0001 speech,dog
bTrain_00002 violin
cTrain-00003 car,speech
""",
    "train/train_audio_weakly.csv": """\
filename event_labels
-aTrain_0001 speech,_dog
bTrain_00002 silent
cTrain-00003 speech
""",
    "train/train_visual_weakly.csv": """\
filename event_labels
-aTrain_0001 dog,dog
bTrain_00002 violin
cTrain-00003 car
""",
    "val/val_weak_av.csv": "filename event_labels\n_bValid0001 dog,speech\n",
    "val/val_audio_weakly.csv": "filename event_labels\n_bValid0001 dog,speech\n",
    "val/val_visual_weakly.csv": "filename event_labels\n_bValid0001 dog,train\n",
    "val/val_audio.csv": """\
filename onset offset event_labels
_bValid0001 0 4 dog
_bValid0001 9 6 speech
_bValid0001 5 5 dog
_bValid0001 10 116117 dog
""",
    "val/val_visual.csv": """\
filename onset offset event_labels
_bValid0001 2 3 train
_bValid0001 2 9 dog
_bValid0001 40 44 dog
""",
    "test/test_weak_av.csv": "filename event_labels\ncTest-00001 speech\ndTest_00002 cat\n",
    "test/test_audio_weakly.csv": "filename event_labels\ncTest-00001 speech\ndTest_00002 silent\n",
    "test/test_visual_weakly.csv": "filename event_labels\ncTest-00001 silent\ndTest_00002 cat\n",
    "test/test_audio.csv": "filename onset offset event_labels\ncTest-00001 1 3 speech\n",
    "test/test_visual.csv": "filename onset offset event_labels\ndTest_00002 0 5 cat\n",
}
LFAV_SECONDS = {
    "-aTrain_0001": 7,
    "bTrain_00002": 30,
    "_bValid0001": 12,
    "cTest-00001": 5,
    "dTest_00002": 9,
}
"""Seconds of the videos that are there; one is gone."""

AVE = """\
Church bell&-aClip_0001&good&0&10
Violin, fiddle&bClip_00002&good&2&5
Bark&cClip-00003&good&0&0
Accordion&bClip_00002&good&2&5
Bark&dClip_00004&good&7&10
"""
AVE_SPLITS = {"train": (3, 0), "val": (1, 2), "test": (4,)}


def write_texts(folder: Path, texts: Mapping[str, str], tabbed: bool = False) -> Path:
    """Writes files; a space stands for a tab, a low line before a name for a space."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if tabbed:
            text = text.replace(" ", "\t").replace(",_", ", ")
        path.write_text(text)
    return folder


def write_lfav(folder: Path) -> Path:
    """Writes LFAV's annotation."""
    return write_texts(folder, LFAV, tabbed=True)


def write_lfav_features(folder: Path) -> Path:
    """Writes features of LFAV; the tracks of a video differ by a second, of another by 60."""
    rng = np.random.default_rng(0)
    streams = {"vggish": 128, "resnet18": 512, "visual-feat-r2plus1d-align": 512}
    for name, dim in streams.items():
        (folder / name).mkdir(parents=True)
        for video, seconds in LFAV_SECONDS.items():
            more = {"bTrain_00002": 60, "-aTrain_0001": 1}.get(video, 0) * (name == "vggish")
            rows = rng.normal(size=(seconds + more, dim)).astype(np.float32)
            np.save(folder / name / f"{video}.npy", rows)
    np.save(folder / "vggish" / "holiday.npy", np.zeros((3, 128), np.float32))
    return folder


def write_ave(folder: Path, lists: str = "h5") -> Path:
    """Writes AVE's annotation, its splits as numbers of rows or as lists of rows."""
    import h5py

    rows = AVE.splitlines(keepends=True)
    header = "" if lists == "h5" else "Category&VideoID&Quality&StartTime&EndTime\n"
    write_texts(folder, {"Annotations.txt": header + AVE})
    for split, places in AVE_SPLITS.items():
        if lists == "h5":
            with h5py.File(folder / f"{split}_order.h5", "w") as file:
                file["order"] = np.array(places)
        else:
            text = header + "".join(rows[at] for at in places)
            write_texts(folder, {f"{split}Set.txt": text})
    return folder


def write_ave_features(folder: Path) -> Path:
    """Writes features of AVE."""
    import h5py

    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {"audio_feature.h5": (128,), "visual_feature.h5": (7, 7, 512)}
    for name, shape in shapes.items():
        with h5py.File(folder / name, "w") as file:
            file["avadataset"] = rng.normal(size=(5, 10, *shape)).astype(np.float32)
    return folder


UNAV = {
    "a1-_xUnAV01": ("train", 7.5, [(0, 3.2, "dog barking", 1), (2.04, 7.5, "man speaking", 0)]),
    "b2UnAVvid02": ("validation", 4, [(1, 2, "dog barking", 1), (1.0004, 2, "dog barking", 1)]),
    "c3UnAVvid03": ("Test", 5.2, [(0.5, 9.9, "bell, small", 2)]),
    "d4UnAVvid04": ("train", 3, []),
}
"""Subset, seconds, events: one that repeats another, one behind the end, a comma, none at all."""


def write_unav(folder: Path) -> Path:
    """Writes UnAV-100's annotation."""
    database = {
        video: {
            "duration": seconds,
            "annotations": [
                {"segment": [start, end], "label": label, "label_id": number}
                for start, end, label, number in events
            ],
            "subset": subset,
        }
        for video, (subset, seconds, events) in UNAV.items()
    }
    text = json.dumps({"version": "unav100", "database": database})
    return write_texts(folder, {"unav100_annotations.json": text})


def write_unav_features(folder: Path) -> Path:
    """Writes features of UnAV-100, of all but one video; flow is a row shorter than pictures."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for video, (_, seconds, _) in list(UNAV.items())[:3]:
        rows = int(seconds / 0.32)
        for part, dim, less in (("rgb", 1024, 0), ("flow", 1024, 1), ("vggish", 128, 0)):
            value = rng.normal(size=(rows - less, dim)).astype(np.float32)
            np.save(folder / f"{video}_{part}.npy", value)
    return folder


OV_AVE = {
    "ovave_dataset_meta.csv": """\
split,cls_name,cls_type,vid_name
train,dog barking,close,aOvAveVid01
train,"bell, small",close,-OvAveVid02
val,bird chirping,open,cOvAveVid03
test,dog barking,close,dOvAveVid04
""",
    "released_ovavel_dataset_anno.json": json.dumps(
        {
            "aOvAveVid01": {"category": "dog barking", "label": str([1, 1, 0, 0, 1] + [0] * 5)},
            "-OvAveVid02": {"category": "bell, small", "label": str([0] * 10)},
            "cOvAveVid03": {"category": "bird chirping", "label": str([1] * 10)},
            "dOvAveVid04": {"category": "dog barking", "label": str([0] * 9 + [1])},
        }
    ),
}
VGGSOUNDER = {
    "vggsounder.csv": """\
video_id,label,modality,background_music,static_image,voice_over
aClip-_0001_000030,"bird chirping, tweeting",AV,True,False,False
aClip-_0001_000030,people crowd,A,True,False,False
-bClip_0002_000007,mouse clicking,V,False,False,False
""",
    "vggsound.csv": """\
cClip_00003,12,"bird chirping, tweeting",train
dClip_00004,0,people crowd,train
aClip-_0001,30,people crowd,test
""",
}
AUDIOSET = {
    "audioset_train_strong.tsv": """\
segment_id\tstart_time_seconds\tend_time_seconds\tlabel
-aClip_0001_30000\t0.0\t2.4\t/m/09x0r
-aClip_0001_30000\t1.627\t10.0\t/m/0bt9lr
bClip_00002_0\t0.5\t0.6\t/m/0bt9lr
""",
    "audioset_eval_strong_framed_posneg.tsv": """\
segment_id\tstart_time_seconds\tend_time_seconds\tlabel\tpresent
cClip_00003_10000\t0.0\t0.96\t/m/09x0r\tPRESENT
cClip_00003_10000\t0.96\t1.92\t/m/09x0r\tNOT_PRESENT
cClip_00003_10000\t0.0\t0.96\t/t/dd00088\tPRESENT
""",
    "mid_to_display_name.tsv": "/m/09x0r\tSpeech\n/m/0bt9lr\tDog\n/t/dd00088\tGurgling, burble\n",
}
DESED = {
    "validation.tsv": """\
filename\tonset\toffset\tevent_label
Ya_30_40.wav\t0.5\t2.031\tDog
Ya_30_40.wav\t0.0\t10.0\tSpeech
Yb_0_10.wav\t\t\t
""",
    "public.tsv": "filename\tonset\toffset\tevent_labels\nYc_5_15.wav\t1.0\t3.5\tDog\n",
    "weak.tsv": "filename\tevent_labels\nYd_1_11.wav\tDog,Speech\nYe_2_12.wav\tFrying\n",
    "durations.tsv": "filename\tduration\nYa_30_40.wav\t10.0\nYb_0_10.wav\t9.98\n",
    "notes.tsv": "what\tever\n1\t2\n",
}
