"""Questions, and the answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from rlld.studio.routes.fields import field, number, person
from rlld.studio.routes.routing import asked, sent
from rlld.studio.session import Studio
from rlld.studio.store import Answered

MOST_QUESTIONS = 50


@dataclass(frozen=True)
class Answers:
    """What is asked about labels, and answered."""

    studio: Studio

    def routes(self) -> list[Route]:
        """Returns its routes."""
        return [
            asked("/api/questions", self.questions),
            sent("/api/answers", self.answer),
            sent("/api/answers/undo", self.undo),
        ]

    def questions(self, request: Request) -> Any:
        """Returns the next questions to a person."""
        count = number(request, "count", 8)
        asker = person(request.query_params)
        return self.studio.questions(asker, int(min(count, MOST_QUESTIONS)))

    def answer(self, request: Request, data: Mapping[str, Any]) -> Any:
        """Keeps an answer."""
        given = Answered(
            person(data),
            field(data, "video", str),
            field(data, "class", str),
            field(data, "audio", bool, None),
            field(data, "visual", bool, None),
            field(data, "probability", float, None),
        )
        kept, answered = self.studio.answer(given, unsure=field(data, "unsure", bool, False))
        return {"id": kept, "answered": answered}

    def undo(self, request: Request, data: Mapping[str, Any]) -> Any:
        """Takes an answer of a person back."""
        return self.studio.undo(person(data), field(data, "answer", int, None))
