"""Weights & Biases: a run of the project ``rlld``, or of the one in ``WANDB_PROJECT``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from shlex import quote

from rlld.errors import RlldError
from rlld.tracking.base import Place, Results
from rlld.utils.console import ERR
from rlld.utils.extras import optional

PURPOSE = "--log wandb"
PROJECT = "rlld"


class Wandb:
    """Sends to a server, or with ``WANDB_MODE=offline`` into ``RUN/wandb``; see ``Tracker``.

    Args:
        place: What is tracked.
        sent: The last step that was sent before; what W&B has it keeps, for a resumed run repeats
            its rounds exactly.
        kept: Not looked at.

    Raises:
        RlldError: If nobody is logged in, or the server refuses.
    """

    def __init__(self, place: Place, sent: int, kept: int) -> None:
        self.wandb = optional("wandb", PURPOSE)
        self.place, self.step = place, sent
        try:
            self.run = self.wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=place.title,
                group=place.folder.absolute().parent.name,
                id=place.id,
                resume="allow",
                reinit="create_new",
                dir=str(place.folder),
                config=dict(place.config),
                # Our own console stays ours; what runs is said by the configuration, not by code.
                settings=self.wandb.Settings(
                    console="off", silent=True, save_code=False, disable_git=True
                ),
            )
        # What it reads from the environment is refused by pydantic, whose error is a ValueError.
        except (self.wandb.Error, ValueError) as error:
            reason = " ".join(str(error).split())
            raise RlldError(
                f"{PURPOSE}: W&B refused ({reason}); run 'wandb login', or set WANDB_MODE=offline "
                "and send the run later by 'wandb sync'"
            ) from None
        later = f"offline; send it by 'wandb sync {quote(str(self.run.settings.sync_dir))}'"
        if self.run.offline or self.run.url:  # else WANDB_MODE disables it
            ERR.print(f"W&B: {later if self.run.offline else self.run.url}")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Takes the figures of a round."""
        if step > self.step:
            self.run.log(dict(values), step=step, commit=True)
            self.step = step

    def results(self, results: Results) -> None:
        """Takes what there is at the end."""
        shown = {
            f"figures/{name}": self.wandb.Image(str(path))
            for name, path in results.of_kind(".png").items()
        } | {
            f"pages/{name}": self.wandb.Html(path.read_text(encoding="utf-8"), inject=False)
            for name, path in results.of_kind(".html").items()
        }
        if shown:
            self.run.log(shown, step=self.step + 1, commit=True)
        self.run.summary.update(dict(results.scores))
        artifact = self.wandb.Artifact(f"results-{self.place.id}", type="results")
        for path in results.files:
            artifact.add_file(str(path))
        self.run.log_artifact(artifact)

    def close(self, *, failed: bool) -> None:
        """Sends what is left."""
        self.run.finish(exit_code=int(failed))
