"""What features know: how well a small network that is told every event finds those of other clips.

    python benchmarks/real_features.py D [D ...] [--train 280] [--test 80] [--seeds 3]

Each D is a data set with the truth of its training clips (``real_clips.py``), its features
extracted. A layer of 128 units learns single segments, one modality at a time, from the first
training clips; what is shown is the segment-level F-score over the first test clips (the mean over
clips, where finding nothing in a clip without events counts as 100). No labels are cleaned and no
time is modelled, so that these scores compare features and nothing else.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean

# A file here is called like the package, which has to be found first.
sys.path.append(sys.path.pop(0))

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from rlld.data.dataset import load_data
from rlld.data.split import Split
from rlld.types import STREAMS

UPDATES, BATCH, WIDTH, RATE = 400, 256, 128, 1e-3


def rows(split: Split, clips: int, names: list[str]) -> Tensor:
    """Returns what the streams of the first clips say of each segment (N, T, D)."""
    return torch.cat([split.streams[name][:clips].float() for name in names], -1)


def score(found: Tensor, truth: Tensor) -> float:
    """Returns the mean F-score of clips, of (N, T, C), in percent."""
    both = (found & truth).sum((1, 2)).float()
    total = found.sum((1, 2)) + truth.sum((1, 2))
    return 100 * torch.where(total == 0, 1.0, 2 * both / total.clamp(min=1)).mean().item()


def learnt(given: Tensor, truth: Tensor, asked: Tensor, seed: int) -> Tensor:
    """Learns segments and returns what is found in others, (N, T, C), bool."""
    centre, spread = given.mean((0, 1)), given.std((0, 1)) + 1e-2
    given, asked = (given - centre) / spread, (asked - centre) / spread
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(nn.Dropout(0.3), nn.Linear(given.shape[-1], WIDTH), nn.ReLU()),
        *(nn.Dropout(0.3), nn.Linear(WIDTH, truth.shape[-1])),
    )
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    segments, events = given.flatten(0, 1), truth.flatten(0, 1).float()
    for _ in range(UPDATES):
        chosen = torch.randint(len(segments), (BATCH,))
        loss = binary_cross_entropy_with_logits(network(segments[chosen]), events[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        found: Tensor = network.eval()(asked) > 0
    return found


def main() -> None:
    """Compares data sets, each by its streams."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--train", type=int, default=280, help="clips to learn from")
    parser.add_argument("--test", type=int, default=80, help="clips to find events in")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    audio, *visual = STREAMS
    for folder in args.data:
        data = load_data(folder, with_truth=True)
        print(f"{folder}: {data.spec.features}")
        for names in ([audio], visual[:1], visual):
            modality = 0 if names == [audio] else 1
            truth = data.train.truth[: args.train, :, modality]
            wanted = data.test.dense[: args.test, :, modality].bool()
            given, asked = rows(data.train, args.train, names), rows(data.test, args.test, names)
            found = [score(learnt(given, truth, asked, seed), wanted) for seed in range(args.seeds)]
            bare = score(torch.zeros_like(wanted), wanted)
            print(f"  {'+'.join(names):<22} {mean(found):5.1f}   (nothing at all: {bare:.1f})")


if __name__ == "__main__":
    main()
