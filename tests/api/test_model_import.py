"""Imported models over HTTP: taken in, refused, and scoring wherever a model scores."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_application.learning.import_model import MAX_GRAPH_BYTES
from tests import onnx_graphs as onnx

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Clients, Eventually
    from tests.api.shop import Shop

IMPORT = "/api/v1/models/import"
MODELS = "/api/v1/algorithm-models"
WEIGHTS, BIAS = [0.5, 0.01], -1.0
NAMES = ["tier", "offer.priority"]
CONTENT = onnx.logistic(WEIGHTS, BIAS)
PRIORITIES = {"gold": 90, "silver": 60, "bronze": 30}


def score(tier: float, priority: float) -> Any:
    return pytest.approx(1 / (1 + math.exp(-(WEIGHTS[0] * tier + WEIGHTS[1] * priority + BIAS))), abs=1e-6)


async def send(client: httpx.AsyncClient, content: bytes | None = CONTENT, **fields: Any) -> httpx.Response:
    given: dict[str, Any] = {
        "name": "Elsewhere",
        "family": "onnx_imported",
        "featureNames": json.dumps(NAMES),
        "featureDefaults": json.dumps({"tier": 1}),
        **fields,
    }
    data = {name: value for name, value in given.items() if value is not None}
    # Without a file httpx would send another kind of form.
    files: Any = {"file": ("model.onnx", content)} if content is not None else {"name": (None, data.pop("name"))}
    return await client.post(IMPORT, data=data, files=files)


async def imported(client: httpx.AsyncClient, content: bytes = CONTENT, **fields: Any) -> dict[str, Any]:
    answer = await send(client, content, **fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def live(shop: Shop, content: bytes = CONTENT, status: str = "champion", **fields: Any) -> dict[str, Any]:
    """Import a model, and let it score."""
    model = await imported(shop.api.admin, content, **fields)
    answer = await shop.api.editor.put(f"{MODELS}/{model['id']}", json={"status": "active"})
    assert answer.status_code == 200, answer.text
    for step in ("shadow", status):
        answer = await shop.api.editor.post(f"{MODELS}/{model['id']}/promote", json={"toStatus": step})
        assert answer.status_code in (200, 400), answer.text
    return model


def score_node(**config: Any) -> dict[str, Any]:
    return {"type": "score", "config": {"method": "propensity", **config}}


def scores_of(decision: dict[str, Any]) -> dict[str, float]:
    return {one["offerKey"]: one["score"] for one in decision["decisions"]}


async def test_an_imported_model_is_a_draft_whose_bytes_travel_nowhere(api: Clients) -> None:
    model = await imported(api.admin)

    assert model["modelType"] == "onnx_imported"
    assert (model["key"], model["name"], model["family"]) == ("elsewhere", "Elsewhere", "Elsewhere")
    assert (model["status"], model["registryStatus"], model["version"]) == ("draft", "draft", 0)
    assert model["modelState"] == {
        "bytesHashSha256": hashlib.sha256(CONTENT).hexdigest(),
        "bytesCount": len(CONTENT),
        "featureNames": NAMES,
        "featureDefaults": {"tier": 1},
        "inputs": [{"name": "X", "type": "float", "width": 2, "isFlat": False}],
        "output": {"tensor": "score", "isInner": False},
    }
    found = (await api.viewer.get(f"{MODELS}/{model['id']}")).json()
    assert found == {**model, "versions": []}
    (listed,) = (await api.viewer.get(MODELS)).json()["data"]
    assert listed == model
    other = await imported(api.admin)
    assert other["key"] == "elsewhere-2"
    assert other["modelState"]["bytesHashSha256"] == model["modelState"]["bytesHashSha256"]


REFUSED: dict[str, tuple[bytes | None, dict[str, Any], int, str]] = {
    "no file": (None, {}, 400, "$.file"),
    "an empty file": (b"", {}, 400, "$.file"),
    "no ONNX": (b"PK\x03\x04", {}, 400, "$.file"),
    "an unknown operator": (CONTENT.replace(b"Sigmoid", b"Sigmold"), {}, 400, "$.file"),
    "no name": (CONTENT, {"name": None}, 400, "$.name"),
    "an empty name": (CONTENT, {"name": ""}, 400, "$.name"),
    "another family": (CONTENT, {"family": "pmml"}, 400, "$.family"),
    "no features": (CONTENT, {"featureNames": None}, 400, "$.featureNames"),
    "none at all": (CONTENT, {"featureNames": "[]"}, 400, "$.featureNames"),
    "no JSON": (CONTENT, {"featureNames": "tier"}, 400, "$.featureNames"),
    "no list": (CONTENT, {"featureNames": '{"tier": 1}'}, 400, "$.featureNames"),
    "no text": (CONTENT, {"featureNames": '["tier", 1]'}, 400, "$.featureNames[1]"),
    "too many features": (CONTENT, {"featureNames": '["a", "b", "c"]', "featureDefaults": None}, 400, "$.featureNames"),
    "defaults in a list": (CONTENT, {"featureDefaults": "[1]"}, 400, "$.featureDefaults"),
    "a default of nothing": (CONTENT, {"featureDefaults": '{"debt": 1}'}, 400, "$.featureDefaults.debt"),
    "a default that is text": (CONTENT, {"featureDefaults": '{"tier": "x"}'}, 400, "$.featureDefaults.tier"),
    "a default that is null": (CONTENT, {"featureDefaults": '{"tier": null}'}, 400, "$.featureDefaults.tier"),
    "an unknown field": (CONTENT, {"surprise": "1"}, 400, "$.surprise"),
    "a field twice": (CONTENT, {"name": ["a", "b"]}, 400, "$.name"),
    "a row that depends on others": (
        onnx.model(
            onnx.graph(
                [onnx.node("MatMul", ["X", "w"], ["z"]), onnx.node("Softmax", ["z"], ["score"], axis=0)],
                [onnx.value_info("X", onnx.FLOAT, (None, 2))],
                [onnx.value_info("score", onnx.FLOAT, None)],
                [onnx.tensor("w", (2, 1), WEIGHTS)],
            )
        ),
        {},
        400,
        "$.file",
    ),
}


@pytest.mark.parametrize(("content", "fields", "status", "path"), REFUSED.values(), ids=REFUSED)
async def test_what_is_wrong_with_an_import_is_told(
    api: Clients, content: bytes | None, fields: dict[str, Any], status: int, path: str
) -> None:
    answer = await send(api.admin, content, **fields)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["status"] == status
    assert path in [detail["path"] for detail in error["details"]]
    assert (await api.viewer.get(MODELS)).json()["pagination"]["total"] == 0


async def test_only_admins_import(api: Clients) -> None:
    for client, status in ((api.editor, 403), (api.viewer, 403), (api.anonymous, 401)):
        answer = await send(client)
        assert answer.status_code == status
        assert answer.json()["error"]["status"] == status


FORM = {"content-type": "multipart/form-data; boundary=x"}
BROKEN: dict[str, tuple[dict[str, str], bytes, int]] = {
    "JSON": ({"content-type": "application/json"}, b"{}", 415),
    "no boundary": ({"content-type": "multipart/form-data"}, b"", 400),
    "no form": (FORM, b"no form", 400),
    "cut off": (FORM, b'--x\r\ncontent-disposition: form-data; name="file"; filename="m"\r\n\r\nabc', 400),
    "a part without a name": (FORM, b"--x\r\ncontent-disposition: form-data\r\n\r\nabc\r\n--x--\r\n", 400),
    "two files": (
        FORM,
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="m"\r\n\r\nabc\r\n' * 2 + b"--x--\r\n",
        400,
    ),
    "a file that is text": (FORM, b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\nabc\r\n--x--\r\n', 400),
    "announced too large": ({**FORM, "content-length": str(MAX_GRAPH_BYTES * 2)}, b"", 413),
}


@pytest.mark.parametrize(("headers", "body", "status"), BROKEN.values(), ids=BROKEN)
async def test_what_is_no_form_is_refused(api: Clients, headers: dict[str, str], body: bytes, status: int) -> None:
    answer = await api.admin.post(IMPORT, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["status"] == status


async def test_a_file_may_have_100_mebibytes(api: Clients) -> None:
    # A message of a number that nobody knows, so that what is too large by one byte is sound otherwise.
    head = CONTENT + onnx.varint(1000 << 3 | 2)
    filling = MAX_GRAPH_BYTES - len(head) - 4
    content = head + onnx.varint(filling) + bytes(filling)
    assert len(content) == MAX_GRAPH_BYTES
    answer = await send(api.admin, content + b"\0")
    assert answer.status_code == 413, answer.text
    model = await imported(api.admin, content)
    assert model["modelState"]["bytesCount"] == MAX_GRAPH_BYTES
    answer = await api.viewer.post(f"{MODELS}/{model['id']}/score", json={"attributes": {"offer.priority": 10}})
    assert answer.json()["score"] == score(1, 10)


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_nobody_writes_the_state_by_hand(api: Clients, method: str) -> None:
    model = await imported(api.admin)
    state = {**model["modelState"], "bytesHashSha256": "0" * 64}
    if method == "POST":
        body = {"name": "Forged", "modelType": "onnx_imported", "modelState": state}
        answer = await api.admin.post(MODELS, json=body)
    else:
        answer = await api.admin.put(f"{MODELS}/{model['id']}", json={"modelState": state})
        kept = await api.admin.put(f"{MODELS}/{model['id']}", json={"modelState": model["modelState"], "name": "N"})
        assert kept.status_code == 200, kept.text
        assert (await api.admin.put(f"{MODELS}/{model['id']}", json={"modelState": {}})).status_code == 400
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"][0]["path"] == "$.modelState"


async def test_it_is_neither_trained_nor_reset(api: Clients) -> None:
    model = await imported(api.admin)
    trained = await api.editor.post(f"{MODELS}/{model['id']}/train", json={})
    assert (trained.status_code, trained.json()["error"]["code"]) == (409, "training_not_supported")
    reset = await api.editor.post(f"{MODELS}/{model['id']}/reset-learning")
    assert reset.status_code == 400


async def test_a_registered_model_without_a_graph_is_not_ready(api: Clients) -> None:
    body = {"key": "empty", "name": "Empty", "modelType": "onnx_imported"}
    assert (await api.editor.post(MODELS, json=body)).status_code == 201
    answer = await api.viewer.post(f"{MODELS}/empty/score", json={"attributes": {}})
    assert answer.status_code == 409
    assert "no graph has been imported" in answer.json()["error"]["message"]


async def test_rows_are_scored_alone_as_together(shop: Shop) -> None:
    model = await imported(shop.api.admin)
    rows = [{"tier": tier, "offer.priority": priority} for tier in range(5) for priority in range(0, 100, 7)]
    path = f"{MODELS}/{model['key']}/score"
    together = (await shop.api.viewer.post(path, json={"rows": rows})).json()
    assert together == {"scores": [score(row["tier"], row["offer.priority"]) for row in rows], "modelVersion": 0}
    for row, expected in zip(rows[:10], together["scores"], strict=False):
        alone = (await shop.api.viewer.post(path, json={"attributes": row})).json()
        assert alone == {
            "score": expected,
            "rawScore": expected,
            "baseValue": expected,
            "explanations": [],
            "modelId": model["id"],
            "modelKey": "elsewhere",
            "modelType": "onnx_imported",
            "modelVersion": 0,
        }
    offers = await shop.api.viewer.post(f"{MODELS}/elsewhere/score-offer-set", json={"attributes": {"tier": 2}})
    scores = [one["score"] for one in offers.json()["scores"]]
    assert scores == [score(2, PRIORITIES[key]) for key in sorted(PRIORITIES)]
    card = (await shop.api.viewer.get(f"{MODELS}/elsewhere/card")).json()
    assert card["intendedUse"]["scoreMeaning"] == "whatever the imported graph answers"
    assert [one["field"] for one in card["features"]] == sorted(NAMES)


@pytest.mark.parametrize("zip_map", [False, True])
async def test_it_decides_as_champion(shop: Shop, zip_map: bool) -> None:
    content = onnx.classifier(WEIGHTS, BIAS, zip_map=zip_map)
    model = await live(shop, content)
    await shop.flow("f", score_node(modelKey=model["key"]))

    decision = await shop.recommend("c1", channel="web", attributes={"tier": 3})

    assert "degradedScoring" not in decision
    assert scores_of(decision) == {key: score(3, priority) for key, priority in PRIORITIES.items()}
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")
    assert {one["modelType"] for one in trace["scoringResults"]} == {"onnx_imported"}
    assert trace["degradedScoring"] is False
    replayed = await shop.api.viewer.post(f"/api/v1/decision-traces/{decision['recommendationId']}/replay")
    assert replayed.json() == {"identical": True, "differences": []}
    why = await shop.get("customers/c1/why-not/bronze", decisionFlowKey="f")
    assert why["offerKey"] == "bronze"
    customers = [{"customerId": f"c{tier}", "attributes": {"tier": tier}} for tier in range(9)]
    many = await shop.api.viewer.post("/api/v1/decide", json={"customers": customers, "channel": "web"})
    for tier, one in enumerate(many.json()["results"]):
        assert scores_of(one) == {key: score(tier, priority) for key, priority in PRIORITIES.items()}


async def test_it_decides_as_challenger_and_speaks_as_shadow(shop: Shop) -> None:
    base: dict[str, Any] = {"baseScore": 20, "minScore": 0, "maxScore": 100, "normalization": "linear", "rules": []}
    await shop.create("algorithm-models", key="main", name="main", modelType="scorecard", status="active", config=base)
    await shop.api.editor.post(f"{MODELS}/main/promote", json={"toStatus": "shadow"})
    challenger = await live(shop, status="challenger", name="Challenger")
    await live(shop, status="shadow", name="Shadow")
    arms = [{"modelKey": "main", "weight": 0}, {"modelKey": challenger["key"], "weight": 100}]
    split = {"champion": arms[0], "challengers": arms[1:]}
    await shop.flow("f", score_node(modelKey="main", championChallenger=split, shadowModelKeys=["shadow"]))

    decision = await shop.recommend("c1", channel="web", attributes={"tier": 3})

    assert decision["experimentAssignment"]["variant"] == "challenger"
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")
    for one in trace["scoringResults"]:
        expected = score(3, PRIORITIES[one["offerKey"]])
        assert one["score"] == expected
        assert one["shadowScores"]["shadow"] == {"score": expected, "engineType": "onnx_imported"}


async def counted(shop: Shop, reason: str) -> float:
    text = (await shop.api.anonymous.get("/api/metrics")).text
    line = f'kaireon_scoring_fallback_total{{modelKey="elsewhere",reason="{reason}"}}'
    return sum(float(one.split()[-1]) for one in text.splitlines() if one.startswith(line))


async def degrades(shop: Shop, reason: str, **attributes: Any) -> None:
    """Look at a model whose scores all are stand-ins, wherever it scores."""
    await shop.flow("f", score_node(modelKey="elsewhere"))
    decision = await shop.recommend("c1", channel="web", attributes=attributes)
    assert decision["degradedScoring"] is True
    assert {one["score"] for one in decision["decisions"]} == {0.5}
    assert await counted(shop, reason) == len(PRIORITIES)
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")
    assert {one["fallbackReason"] for one in trace["scoringResults"]} == {reason}
    replayed = await shop.api.viewer.post(f"/api/v1/decision-traces/{decision['recommendationId']}/replay")
    assert replayed.json() == {"identical": True, "differences": []}

    marker = {"engineType": "onnx_imported", "degraded": True, "reason": reason}
    path, ask = f"{MODELS}/elsewhere", shop.api.viewer.post
    alone = (await ask(f"{path}/score", json={"attributes": attributes})).json()
    assert alone.items() >= {"score": 0.5, **marker}.items()
    together = (await ask(f"{path}/score", json={"rows": [attributes] * 3})).json()
    assert together == {"scores": [0.5] * 3, "modelVersion": 0, **marker}
    offers = (await ask(f"{path}/score-offer-set", json={"attributes": attributes})).json()["scores"]
    assert len(offers) == len(PRIORITIES)
    assert all(one.items() >= {"score": 0.5, **marker}.items() for one in offers)


async def test_without_the_runtime_decisions_go_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # What `import onnxruntime` meets where it is not installed.
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    await live(shop)
    await degrades(shop, "onnx_runtime_missing", tier=1)


async def test_a_graph_without_a_number_for_anybody_is_no_error(shop: Shop) -> None:
    # The second feature has no default here, so that who has none is scored NaN.
    await live(shop, featureNames='["tier", "debt"]')
    await degrades(shop, "malformed", tier=1)


async def test_another_process_scores_with_it_at_once(shop: Shop, second: Shop, eventually: Eventually) -> None:
    await live(shop)
    await shop.flow("f", score_node(modelKey="elsewhere"))

    async def scores() -> bool:
        body = {"customerId": "c1", "channel": "web", "attributes": {"tier": 3}, "decisionFlowKey": "f"}
        answer = await second.api.viewer.post("/api/v1/recommend", json=body)
        # Until it knows the flow.
        if answer.status_code == 404:
            return False
        assert scores_of(answer.json()) == {key: score(3, priority) for key, priority in PRIORITIES.items()}
        return True

    await eventually(scores)


async def test_a_graph_belongs_to_its_tenant(shop: Shop, other_shop: Shop) -> None:
    model = await imported(shop.api.admin)
    assert (await other_shop.api.viewer.get(f"{MODELS}/{model['id']}")).status_code == 404
    counts = "SELECT tenant_id FROM model_graph_parts"
    assert [row["tenant_id"] for row in await shop.rows(counts)] == [shop.tenant_id]
    snapshots = await shop.rows("SELECT content FROM snapshots WHERE tenant_id = %(tenant_id)s")
    assert all(b"MatMul" not in row["content"] for row in snapshots)
