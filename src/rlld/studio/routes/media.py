"""Sound and pictures of a clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anyio import from_thread
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from rlld.errors import RlldError
from rlld.studio.clips import Video
from rlld.studio.routes.fields import clip_id, number
from rlld.studio.routes.routing import KEPT, asked
from rlld.studio.session import Studio

DRAWN = 800
"""Columns of a waveform or spectrogram when nobody says how many."""


@dataclass(frozen=True)
class Media:
    """What can be played and drawn of a clip."""

    studio: Studio

    def routes(self) -> list[Route]:
        """Returns its routes."""
        return [
            asked("/media/{id}", self.played),
            asked("/thumb/{id}.jpg", self.thumb),
            asked("/strip/{id}.jpg", self.strip),
            asked("/spectrogram/{id}.png", self.spectrogram),
            asked("/api/peaks/{id}", self.peaks),
        ]

    def played(self, request: Request) -> Any:
        """Returns the clip itself."""
        path, mime = self.studio.media.playable(self._video(request))
        return FileResponse(path, media_type=mime, headers=KEPT)

    def thumb(self, request: Request) -> Any:
        """Returns a picture of the clip."""
        path = self.studio.media.thumb(self._video(request), _watch(request))
        return FileResponse(path, headers=KEPT)

    def strip(self, request: Request) -> Any:
        """Returns pictures of a span side by side."""
        count, video, span = _count(request, 10), self._video(request), self._span(request)
        path = self.studio.media.strip(video, *span, count, _watch(request))
        return FileResponse(path, headers=KEPT)

    def spectrogram(self, request: Request) -> Any:
        """Returns the spectrogram of a span."""
        width, video, span = _count(request, DRAWN), self._video(request), self._span(request)
        path = self.studio.media.spectrogram(video, *span, width, _watch(request))
        return FileResponse(path, headers=KEPT)

    def peaks(self, request: Request) -> Any:
        """Returns the waveform of a span."""
        (start, end), count = self._span(request), _count(request, DRAWN)
        found = self.studio.media.peaks(self._video(request), start, end, count, _watch(request))
        return {"from": start, "to": end, "peaks": found}

    def _video(self, request: Request) -> Video:
        return self.studio.catalogue[clip_id(request)]

    def _span(self, request: Request) -> tuple[float, float]:
        end = self.studio.media.seconds(self._video(request))
        return number(request, "from", 0), min(number(request, "to", end), end)


def _count(request: Request, otherwise: int) -> int:
    return int(number(request, "n", otherwise))


def _watch(request: Request) -> Callable[[], None]:
    """Returns what ends work on a request that its browser has given up; for a thread."""

    def watch() -> None:
        if from_thread.run(request.is_disconnected):
            raise RlldError("nobody waits for the answer any more")

    return watch
