"""From clips to scores of segments, and on to the pseudo labels of the methods that read them."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from models_kit import write_clap, write_clip
from rlld.cli import main
from rlld.data.annotations import WeakAnnotations
from rlld.data.dataset import load_split
from rlld.data.similarities import combinations, load_scores, scores_path
from rlld.data.spec import FILE_NAME, AnnotationFiles, DataSpec, read_spec, spec_text
from rlld.data.store import read_store
from rlld.data.text_vectors import read_text_vectors
from rlld.denoisers import lsld, valor, vaplan
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.job import Where
from rlld.features.to_stores import extract_dataset
from rlld.features.weights import VARIABLE
from rlld.open_classes.similarities import Similarities
from rlld.synthetic.clips.dataset import RenderConfig, render
from rlld.taxonomy import LLP
from rlld.workflows.pseudo_scores import (
    ClassScorer,
    CombinationScorer,
    class_vectors,
    cosines,
    make_scores,
    teachers,
    text_vectors_path,
)
from rlld.workflows.zero_shot_scores import known_segments

HERE = Where(1, "cpu")
PROMPTS = lsld.TEACHER.label_prompts


def run(*argv: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(part) for part in argv])
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_clip(folder)
    write_clip(folder, "clip-vit-base-patch16")
    write_clap(folder)
    write_clap(folder, "630k-audioset-best.pt", fusion=False)
    return folder


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered") / "set"
    render(folder, RenderConfig((3, 1, 1), 3, seed=2), load_extractor("light").streams(1.0))
    extract_dataset(folder, where=HERE)
    return folder


@pytest.fixture
def data(rendered, weights, tmp_path, monkeypatch):
    """A copy of a rendered data set, with weights at hand."""
    monkeypatch.setenv(VARIABLE, str(weights))
    shutil.copytree(rendered, tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture(scope="module")
def taught(rendered, weights, tmp_path_factory):
    """A rendered data set with the scores of all methods."""
    folder = tmp_path_factory.mktemp("taught") / "set"
    shutil.copytree(rendered, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(weights))
        command = ["data", "scores", folder, "--teacher", "valor", "--name", "classes"]
        assert run(*command, "--workers", 1, "--device", "cpu") == 0
        # The command's worker is a process of its own, which loads torch and transformers: once.
        for teacher, name in (("lsld", "combinations"), ("vaplan", "vaplan")):
            make_scores(folder, teacher, lambda *_: None, name=name, where=HERE)
    return folder


@pytest.fixture
def scored(taught, weights, monkeypatch):
    """The same with weights at hand, only to be read."""
    monkeypatch.setenv(VARIABLE, str(weights))
    return taught


class Words:
    """Stands for a language model: a prompt's embedding is the one that was written down."""

    def __init__(self, known, scale=1.0):
        self.known = known
        self.scale = scale
        self.asked = []

    def embeddings(self, prompts):
        self.asked += prompts
        return np.array([self.known.get(text, (0, 0, 1)) for text in prompts], np.float32)


def test_prompts_of_llp_are_the_published_ones():
    found = valor.prompts(LLP.classes)
    assert found["audio"] == list(valor.AUDIO_PROMPTS)
    assert found["visual"] == list(valor.VISUAL_PROMPTS)
    own = valor.prompts(("Steam_train", "Dog"))
    assert own == {
        "audio": ["This is a sound of steam train", "This is a sound of dog"],
        "visual": ["A photo of steam train.", "A photo of a dog."],
    }
    assert vaplan.prompts(("Frying_(food)",)) == {
        "audio": ["This sound contains the Frying (food)"],
        "visual": ["This photo contains the Frying (food)"],
    }


def test_cosines_are_cosines():
    rows = np.array([[3, 4, 0], [0, 0, 0]], np.float32)
    prompts = np.array([[1, 0, 0], [0, -1, 0], [0, 0, 1]], np.float32)
    np.testing.assert_allclose(cosines(rows, prompts), [[0.6, -0.8, 0], [-1, -1, -1]], atol=1e-7)


def test_class_scores_are_scaled_cosines():
    words = {"audio": Words({"a": (1, 0, 0)}, 10), "visual": Words({"b": (0, 1, 0)}, 100)}
    scorer = ClassScorer({"audio": ["a", "x"], "visual": ["b", "x"]}, words.__getitem__)
    rows = np.array([[0, 2, 0], [0.6, 0, 0.8]], np.float32)
    found = scorer.scores({"audio": rows, "visual": rows}, [0])
    np.testing.assert_allclose(found["audio"], [[0, 0], [6, 8]], atol=1e-5)
    np.testing.assert_allclose(found["visual"], [[100, 0], [0, 80]], atol=1e-5)


def test_class_vectors_are_those_of_both_modalities_side_by_side():
    words = {"audio": Words({"a": (1, 0, 0)}), "visual": Words({"b": (0, 1, 0)})}
    scorer = ClassScorer({"audio": ["a", "x"], "visual": ["b", "x"]}, words.__getitem__)
    assert scorer.vectors.tolist() == [[1, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1]]


def test_text_vectors_lie_beside_the_scores_and_can_be_made_of_any_class(scored):
    spec = read_spec(scored)
    path = text_vectors_path(scored, "classes")
    vectors = np.load(path)
    assert path.parent == scores_path(scored, "classes", "train").parent
    assert len(vectors) == len(spec.classes)
    found = class_vectors("valor", [*spec.classes[:2], "Steam_train"], HERE)
    np.testing.assert_allclose(found[:2], vectors[:2], atol=1e-5)
    assert np.abs(found[2] - vectors[:2]).max(1).min() > 1e-3
    table = read_text_vectors(path, spec.classes, vectors.shape[1])
    np.testing.assert_array_equal(table.numpy(), vectors)
    assert not text_vectors_path(scored, "combinations").exists()
    with pytest.raises(RlldError, match="unknown teacher 'lsld' of text vectors"):
        class_vectors("lsld", spec.classes)


def test_combination_scores_stand_in_the_order_of_the_prompts():
    axes = {"Dog": (1, 0, 0), "Cat": (0, 1, 0), "Dog and Cat": (0.6, 0.8, 0)}
    sounds = {f"This is a sound of {text}": axis for text, axis in axes.items()}
    languages = {"audio": Words(sounds), "visual": Words(axes)}
    classes = ("Dog", "Engine", "Cat")
    scorer = CombinationScorer(PROMPTS, classes, [[0, 2], [0], [0]], languages.__getitem__)
    assert scorer.widths == {"audio": 4, "visual": 4, "visual_classes": 3}
    seen = {
        "audio": np.array([[5, 0, 0], [0, 0, 0]], np.float32),
        "visual": np.array([[0, 0, 0], [3, 4, 0]], np.float32),
    }
    found = scorer.scores(seen, [0, 2])
    # Both labels, Dog, Cat, other; without sound or picture it is other.
    np.testing.assert_allclose(found["audio"], [[0.6, 1, 0, 0], [-1, -1, -1, 1]], atol=1e-6)
    np.testing.assert_allclose(found["visual"], [[-1, -1, -1, 1], [1, 0.6, 0.8, 0]], atol=1e-6)
    np.testing.assert_allclose(found["visual_classes"], [[-1] * 3, [0.6, 0, 0.8]], atol=1e-6)
    one = scorer.scores(seen, [0])
    np.testing.assert_allclose(one["audio"], [[1, 0, 0, 0], [-1, 1, 0, 0]], atol=1e-6)
    labels = torch.tensor([[1.0, 0, 1]])
    kept = lsld.refine(torch.from_numpy(found["visual"])[None], labels)[0]
    assert kept.tolist() == [[0, 0, 0], [1, 0, 1]]
    assert len(set(languages["visual"].asked)) == len(languages["visual"].asked)


def test_too_many_labels_are_refused():
    with pytest.raises(RlldError, match="a video has 11 labels and so 2048 combinations"):
        CombinationScorer(
            PROMPTS, [str(n) for n in range(11)], [list(range(11))], lambda _: Words({})
        )


def test_valor_from_clips_to_pseudo_labels(scored):
    spec = read_spec(scored)
    train = load_split(scored, "train")
    scores = load_scores(train, "classes", dict.fromkeys(("audio", "visual"), len(spec.classes)))
    # By hand: the extractors' rows of one clip against the prompts.
    prompts = valor.prompts(spec.classes)
    clip = scored / "videos" / f"{train.ids[1]}.mp4"
    for modality, name, stream in (("audio", "clap", "audio"), ("visual", "clip", "visual_2d")):
        extractor = load_extractor(name)
        rows = extractor.extract(clip, 1.0).streams[stream]
        language = extractor.config.language(torch.device("cpu"))
        reference = language.scale * rows @ language.embeddings(prompts[modality]).T
        np.testing.assert_allclose(scores[modality][1].numpy(), reference, atol=1e-3)
    one = float(scores["audio"].median()), float(scores["visual"].median())
    config = valor.Config(audio_thresholds=(one[0],), visual_thresholds=(one[1],))
    labels = config.build(spec).segment_labels(train)
    assert labels.shape == (3, 10, 2, len(spec.classes))
    assert 0 < labels.sum() < labels.numel()
    assert not (labels > train.labels[:, None, None]).any()


@pytest.mark.parametrize("recipe", teachers())
def test_recipes_train_on_the_scores(scored, tmp_path, recipe):
    command = ["train", recipe, "--data", scored, "--out", tmp_path / "run", "--device", "cpu"]
    command += ["--schedule.updates", 2, "--schedule.steps", 1, "--network.hidden", 16]
    if recipe == "valor":
        command += ["--denoiser.audio_thresholds", "[0.0]", "--denoiser.visual_thresholds", "[0.0]"]
    if recipe == "vaplan":
        command += ["--denoiser.scores", "vaplan"]
    assert run(*command) == 0
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_lsld_reads_what_was_written(scored):
    spec = read_spec(scored)
    for split in ("train", "validation"):
        videos = load_split(scored, split)
        wanted = {"audio": None, "visual": None, "visual_classes": len(spec.classes)}
        found = load_scores(videos, "combinations", wanted)
        most = 2 ** int(videos.labels.sum(1).max())
        assert found["audio"].shape[2] == found["visual"].shape[2] >= most
        for row, tags in enumerate(videos.labels):
            count = len(combinations(tags.nonzero()[:, 0].tolist()))
            assert found["visual"][row, :, :count].abs().min() > 0
            assert not found["visual"][row, :, count:].any()
    labels = lsld.Config().build(spec).segment_labels(load_split(scored, "train"))
    assert labels.shape == (3, 10, 2, len(spec.classes))


def test_zero_shot_scores_are_log_odds_that_label_without_any_tuning(taught, data):
    for name in ("embeddings", "scores"):
        shutil.copytree(taught / name, data / name, dirs_exist_ok=True)
    make_scores(data, "zero-shot", lambda *_: None, where=HERE)
    spec, train = read_spec(data), load_split(data, "train")
    classes = len(spec.classes)
    found = load_scores(train, "zero-shot", dict.fromkeys(("audio", "visual"), classes))
    for scores in found.values():
        assert scores.isfinite().all() and scores.abs().max() <= 60
        assert len(scores.unique()) > 10
    config = valor.Config("zero-shot", audio_thresholds=(0.0,), visual_thresholds=(0.0,))
    labels = config.build(spec).segment_labels(train)
    likely = torch.stack([found["audio"], found["visual"]], 2) > 0
    assert torch.equal(labels.bool(), likely & train.labels[:, None, None].bool())


def test_untagged_and_annotated_videos_say_what_scores_mean(tmp_path):
    classes = ("Dog", "Cat")
    spec = DataSpec("made", classes, 4, annotations=AnnotationFiles(test=""))
    folder = tmp_path / "annotations"
    folder.mkdir()
    head = "filename\tonset\toffset\tevent_labels\n"
    (folder / "audio.csv").write_text(f"{head}v0\t0\t2\tDog\n")
    (folder / "visual.csv").write_text(f"{head}v0\t1\t4\tDog\n")
    labels = {
        "train": WeakAnnotations(("t0",), np.array([[0, 1]], np.uint8)),
        "validation": WeakAnnotations(("v0",), np.array([[1, 0]], np.uint8)),
    }
    clips = {
        split: [Similarities(np.zeros((4, 2)), np.zeros((4, 2)), np.ones(3))] for split in labels
    }
    (tags,) = known_segments(tmp_path, spec, "train", labels["train"], clips["train"])
    assert (tags[:, :, 0] == 0).all() and np.isnan(tags[:, :, 1]).all()
    (dense,) = known_segments(
        tmp_path, spec, "validation", labels["validation"], clips["validation"]
    )
    assert dense[:, 0].tolist() == [[1, 0], [1, 0], [0, 0], [0, 0]]
    assert dense[:, 1].tolist() == [[0, 0], [1, 0], [1, 0], [1, 0]]


def test_another_method_embeds_nothing_anew(taught, data, monkeypatch):
    for name in ("embeddings", "scores"):
        shutil.copytree(taught / name, data / name, dirs_exist_ok=True)
    monkeypatch.setattr(
        "rlld.features.job.extract_task", lambda task: pytest.fail(f"{task.path} extracted again")
    )
    before = scores_path(data, "classes", "train").read_bytes()
    with pytest.raises(RlldError, match=r"holds scores of another origin.*--name"):
        make_scores(data, "vaplan", lambda *_: None, where=HERE)
    make_scores(data, "vaplan", lambda *_: None, name="more", where=HERE)
    make_scores(data, "valor", lambda *_: None, where=HERE)
    assert scores_path(data, "classes", "train").read_bytes() == before
    first, second = (
        vaplan.Config(name).build(read_spec(data)).segment_labels(load_split(data, "train"))
        for name in ("more", "vaplan")
    )
    assert torch.equal(first, second)


def test_a_missing_clip_is_named_and_may_be_skipped(data):
    video = load_split(data, "train").ids[0]
    (data / "videos" / f"{video}.mp4").unlink()
    with pytest.raises(RlldError, match=rf"1 clips failed: no clip videos/{video}.mp4"):
        make_scores(data, "valor", lambda *_: None, where=HERE)
    assert not scores_path(data, "classes", "train").exists()
    done = make_scores(data, "valor", lambda *_: None, where=HERE, skip_failed=True)
    assert list(done.failed) == [video]
    store = read_store(scores_path(data, "classes", "train"))
    scale = load_extractor("clap").config.language(torch.device("cpu")).scale
    row = store.streams["audio"][store.ids.index(video)]
    torch.testing.assert_close(row, torch.full_like(row, -scale))


def test_clips_may_lie_elsewhere(data, tmp_path):
    shutil.move(data / "videos", tmp_path / "clips")
    make_scores(data, "valor", lambda *_: None, where=HERE, videos=tmp_path / "clips")
    assert len(read_store(scores_path(data, "classes", "train")).ids) == 3
    with pytest.raises(RlldError, match="videos: no such folder; the clips of the data set"):
        make_scores(data, "lsld", lambda *_: None, where=HERE)


def test_weights_are_missed_before_any_clip_is_read(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    assert run("data", "scores", data, "--teacher", "lsld") == 2
    error = capsys.readouterr().err
    assert "630k-audioset-best.pt" in error or "roberta-base/vocab.json" in error
    assert not (data / "embeddings").exists()


def test_the_command_wants_one_source(data, tmp_path, capsys):
    assert run("data", "scores", data) == 2
    assert "give --teacher valor, lsld, vaplan or zero-shot" in capsys.readouterr().err
    assert run("data", "scores", data, "--teacher", "valor", "--audio", tmp_path) == 2
    assert "--audio: imports scores from files" in capsys.readouterr().err
    with pytest.raises(RlldError, match=r"unknown teacher 'valo'.*did you mean 'valor'"):
        make_scores(data, "valo", lambda *_: None)


def test_recipes_read_the_sets_that_teachers_write():
    defaults = {"valor": valor.Config(), "lsld": lsld.Config(), "vaplan": vaplan.Config()}
    for name, config in defaults.items():
        assert teachers()[name].scores == config.scores


def test_scores_follow_the_segments_of_the_data_set(data):
    spec = replace(read_spec(data), segments=5, segment_seconds=2.0)
    (data / FILE_NAME).write_text(spec_text(spec))
    make_scores(data, "valor", lambda *_: None, where=HERE)
    assert read_store(scores_path(data, "classes", "train")).streams["audio"].shape[1] == 5
