"""Whatever is sent, the answer is one sentence, and what was stored stays readable."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiny import CLASSES

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["train_000", "Bell", "Drum", "Ada", "audio", "visual", "elan", "all"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
FIELDS = (
    *("person", "video", "class", "audio", "visual", "probability", "unsure", "base", "to"),
    *("classes", "events", "format", "what"),
)
EVENT = st.fixed_dictionaries(
    {}, optional={key: VALUES | st.integers(0, 3) | st.floats(0, 3) for key in "cmsep"}
)
BODY = st.fixed_dictionaries(
    {"person": st.just("Ada") | VALUES},
    optional={name: VALUES for name in FIELDS if name != "person"}
    | {"events": st.lists(EVENT, max_size=3) | VALUES}
    | {"classes": st.just(CLASSES) | VALUES},
)
ROUTES = (
    ("POST", "/api/answers"),
    ("POST", "/api/answers/undo"),
    ("PUT", "/api/clips/train_000/events"),
    ("POST", "/api/clips/train_000/revert"),
    ("POST", "/api/export"),
)
READ = (
    "/api/state",
    "/api/clips",
    "/api/clips/train_000",
    "/api/agreement",
    "/api/questions?person=A",
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=st.sampled_from(ROUTES), body=BODY)
def test_any_json_is_taken_or_refused(page, route, body):
    content = json.dumps(body).encode()  # with NaN and halves of characters, as json writes them
    headers = {"Content-Type": "application/json"}
    answer = page.client.request(*route, content=content, headers=headers)
    assert answer.status_code in (200, 400, 404, 409), answer.text
    if answer.status_code != 200:
        assert "\n" not in answer.json()["error"]
    for path in READ:
        page.get(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(
        ["/strip/train_000.jpg", "/spectrogram/train_000.png", "/api/peaks/train_000"]
    ),
    query=st.dictionaries(
        st.sampled_from(["from", "to", "n"]),
        st.floats(width=32).map(str) | st.integers(-9, 9).map(str) | st.text(max_size=4),
    ),
)
def test_any_range_is_drawn_or_refused(page, path, query):
    answer = page.client.get(path, params=query)
    assert answer.status_code in (200, 400, 404), answer.text
