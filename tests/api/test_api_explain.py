"""Why a rule rang or not, over the API: questions as they are asked, answers as they are documented, problems as problem details."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from api_world import NOON, SECOND, World, alert

from tocsin.api.models import ExplanationOut
from tocsin.kernel.fault import Retriable
from tocsin.model.access import Decision
from tocsin.model.explanation import Clause, Explanation, Look, NoSuchRule, Question, Rung, Seen

SEEN = Seen(1 << 20, "calls", "r1", "call.fire", "E10", NOON, -122.33, 47.6, 3.1, "m", "smoke", 112.0, -5 * SECOND)
CLAUSE = Clause("cluster.sources", "failed", "4 of 5 sources", "4", "5", 1.0, "1", (SEEN,))
LOOK = Look(NOON, -122.33, 47.6, 20.0, False, "4 of 5 sources", (CLAUSE,), SEEN)


class Explainer:
    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.fault: Exception | None = None

    async def __call__(self, question: Question) -> Explanation:
        self.asked.append(question)
        if self.fault is not None:
            raise self.fault
        place = {"lon": question.lon, "lat": question.lat, "within": question.within}
        known = "now" if question.with_late else "then"
        return Explanation(
            question.rule, "aa", "Two", "words", question.at, **place, span=question.span or 600 * SECOND, known=known, verdict="silent",
            summary="It did not ring", clauses=(CLAUSE,), looks=(LOOK,), alerts=(Rung("a" * 20, "raised", "Smoke", NOON, NOON, 2, float("nan")),),
            notes=("a note",), read=7,
        )  # fmt: skip


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer()


@pytest.fixture(scope="module")
def served(tmp_path_factory, explainer):
    with World(tmp_path_factory.mktemp("explain"), explain=explainer).serving() as world:
        yield world


@pytest.fixture
def client(served, explainer):
    explainer.asked.clear()
    explainer.fault = None
    with httpx.Client(base_url=served.base, timeout=60) as made:
        yield made


def test_a_question_in_all_its_parts(client, explainer) -> None:
    asked = {"near": "-122.33,47.61", "at": "2017-07-04T12:00:00Z", "within": "1.5 km", "span": "30 min", "with_late": "true"}
    answer = client.get("/api/v1/rules/two-smokes/explain", params=asked)
    assert answer.status_code == 200
    assert explainer.asked == [Question("two-smokes", NOON, -122.33, 47.61, 1500.0, 1800 * SECOND, True)]
    told = answer.json()
    ExplanationOut.model_validate(told)
    assert told["near"] == [-122.33, 47.61] and told["within_m"] == 1500 and told["span_s"] == 1800 and told["known"] == "now"
    clause = told["clauses"][0]
    assert (clause["state"], clause["short"], clause["unit"]) == ("failed", 1.0, "1")
    assert clause["events"][0]["gap_s"] == -5 and clause["events"][0]["event_time"] == "2017-07-04T12:00:00Z"
    assert told["alerts"][0]["distance_m"] is None and told["alerts"][0]["opened"] == "2017-07-04T12:00:00Z"


def test_without_anything_it_is_about_now_and_anywhere(client, explainer, served) -> None:
    told = client.get("/api/v1/rules/smoke/explain").json()
    question = explainer.asked[0]
    assert question == Question("smoke", question.at) and abs(question.at - served.services.clock.now()) < 60 * SECOND
    assert told["near"] is None and told["within_m"] is None and told["known"] == "then"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("near", "47.61"), ("near", "200,47"), ("near", "a,b"), ("near", "nan,1"), ("at", "noon"), ("at", "2017-07-04T12:00:00"),
        ("within", "500"), ("within", "3 kg"), ("within", "0 m"), ("span", "long"), ("span", "2 days"), ("span", "-5 min"), ("with_late", "maybe"),
        ("radius", "5"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_says_what_would_be_valid(client, explainer, name: str, value: str) -> None:
    answer = client.get("/api/v1/rules/smoke/explain", params={name: value})
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["parameter"] == name and error["valid"] and not explainer.asked


def test_an_alert_is_asked_about_where_it_began(client, explainer, served) -> None:
    one = served.raise_alert(alert(901, opened=NOON, known_at=NOON + 3 * SECOND))
    assert client.get(f"/api/v1/alerts/{one}/explain").status_code == 200
    assert explainer.asked == [Question("smoke", NOON + 3 * SECOND, -122.33, 47.6, 1.0, 3 * SECOND, False, 901 << 20)]
    late = served.raise_alert(replace(alert(902), late=True, lon=None, lat=None, evidence=()))
    client.get(f"/api/v1/alerts/{late}/explain")
    assert explainer.asked[1] == Question("smoke", NOON, span=0, with_late=True)


def test_what_does_not_exist_is_a_problem_that_names_what_does(client, explainer) -> None:
    assert client.get("/api/v1/alerts/nothing/explain").status_code == 404
    explainer.fault = NoSuchRule("there is no rule 'smok'; did you mean 'smoke'?")
    answer = client.get("/api/v1/rules/smok/explain")
    assert answer.status_code == 404 and answer.json()["detail"] == "there is no rule 'smok'; did you mean 'smoke'?"


def test_a_busy_explainer_says_when_to_come_back(client, explainer) -> None:
    explainer.fault = Retriable("another explanation is being worked out", after=2)
    answer = client.get("/api/v1/rules/smoke/explain")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "2"


def test_a_server_without_a_journal_says_so(tmp_path) -> None:
    with World(tmp_path, explain=None).serving() as world:
        assert httpx.get(f"{world.base}/api/v1/rules/smoke/explain", timeout=60).status_code == 503


def test_access_is_asked_first(tmp_path, explainer) -> None:
    asked = []

    def deny(_actor, action, resource, purpose):
        asked.append((action, resource, purpose))
        return Decision(False, "nobody may")

    explainer.asked.clear()
    with World(tmp_path, explain=explainer, authorize=deny).serving() as world:
        assert httpx.get(f"{world.base}/api/v1/rules/smoke/explain", timeout=60).status_code == 403
        assert httpx.get(f"{world.base}/api/v1/alerts/abc/explain", timeout=60).status_code == 403
    assert asked == [("read", "rules/smoke", "operations"), ("read", "alerts/abc", "operations")] and not explainer.asked


def test_both_routes_are_documented(client) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    for path in ("/api/v1/rules/{rule}/explain", "/api/v1/alerts/{alert}/explain"):
        replies = paths[path]["get"]["responses"]
        assert replies["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/ExplanationOut")
        assert {"403", "404", "422", "503"} <= replies.keys()
