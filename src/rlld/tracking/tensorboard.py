"""TensorBoard: event files in ``RUN/tensorboard``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.image
import yaml

from rlld.tracking.base import Place, Results, flat
from rlld.utils.extras import optional

PURPOSE = "--log tensorboard"


class TensorBoard:
    """Writes event files; see ``Tracker``.

    Args:
        place: What is tracked.
        sent: The last step that was written before.
        kept: The last step that counts: later ones of an interrupted run are taken back.
    """

    def __init__(self, place: Place, sent: int, kept: int) -> None:
        optional("tensorboard", PURPOSE)
        from torch.utils.tensorboard import SummaryWriter

        self.place, sent = place, min(sent, kept)
        # Within a benchmark the folder of a run is named by a hash, which tells a reader nothing.
        named = "" if place.title == place.folder.name else place.title.replace("/", " ")
        folder = place.folder / "tensorboard" / named
        self.writer = SummaryWriter(str(folder), purge_step=sent + 1)
        if sent <= 0:
            settings = yaml.safe_dump(dict(place.config), sort_keys=False)
            self.writer.add_text("config", f"```yaml\n{settings}```", 0)
        self.step = max(sent, 0)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Takes the figures of a round."""
        self.step = step
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def results(self, results: Results) -> None:
        """Takes what there is at the end."""
        from torch.utils.tensorboard.summary import hparams

        settings = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in flat(self.place.config).items()
        }
        # Not add_hparams: it opens a second run beside this one.
        writer: Any = self.writer
        for summary in hparams(settings, dict(results.scores)):  # type: ignore[no-untyped-call]
            writer.file_writer.add_summary(summary)
        for name, score in results.scores.items():
            self.writer.add_scalar(name, score, self.step)
        for name, path in results.of_kind(".png").items():
            picture = matplotlib.image.imread(path)
            self.writer.add_image(f"figures/{name}", picture, self.step, dataformats="HWC")
        for name, path in results.of_kind(".md").items():
            self.writer.add_text(f"tables/{name}", path.read_text(encoding="utf-8"), self.step)
        for name, path in results.of_kind(".html").items():
            self.writer.add_text(f"pages/{name}", f"`{path}`", self.step)

    def close(self, *, failed: bool) -> None:
        """Writes what is left."""
        self.writer.close()
