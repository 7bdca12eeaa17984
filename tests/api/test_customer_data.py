"""What is held about a customer is handed out with a manifest that holds, and erased to the last byte."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import psycopg
import pytest
import redis

from kaireon_storage.postgres.customer_sections import ALWAYS_COUNTED, SECTIONS
from tests.api.shop import created

if TYPE_CHECKING:
    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop

CUSTOMER = 'cu"stomer-Ω-4711'
OTHER = "somebody-else"
# Where the customer stays named after an erasure, and why.
KEPT = {"jobs"}  # the request itself: the proof of what was asked for and done


async def live(shop: Shop, customer: str, key: str) -> dict[str, Any]:
    """Let a customer leave traces in everything that decisions and responses write."""
    headers = {"Idempotency-Key": f"{key}-decision"}
    answer = await shop.api.viewer.post(
        "/api/v1/recommend", json={"customerId": customer, "channel": "web"}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    decision = answer.json()
    reply = await shop.respond(key, customerId=customer, recommendationId=decision["recommendationId"], rank=1)
    assert reply.status_code == 201, reply.text
    return decision


async def people(shop: Shop) -> None:
    """Give the tenant a table of customers."""
    key = {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True}
    fields = [key, {"name": "email", "dataType": "varchar"}]
    await created(shop.api.admin, "schemas", key="people", name="people", fields=fields)
    rows = [{"customer_id": one, "email": f"{place}@example.org"} for place, one in enumerate((CUSTOMER, OTHER))]
    answer = await shop.api.editor.post("/api/v1/schemas/people/data", json={"rows": rows})
    assert answer.status_code in {200, 201}, answer.text


async def enrol(shop: Shop) -> None:
    """Let both customers be in a journey and take a step."""
    await shop.run(
        "WITH enrolled AS (INSERT INTO journey_enrollments (tenant_id, id, journey_id, customer_id, node_id,"
        " expires_at) SELECT %(tenant_id)s, gen_random_uuid(), gen_random_uuid(), unnest(%(ids)s::text[]), 'n', now()"
        " RETURNING id) INSERT INTO journey_steps (tenant_id, enrollment_id, number, node_id, node_type, outcome)"
        " SELECT %(tenant_id)s, id, 1, 'n', 'wait', '{}' FROM enrolled",
        ids=[CUSTOMER, OTHER],
    )
    await fire(shop)
    await shop.run(
        "INSERT INTO engagement_health"
        " SELECT %(tenant_id)s, unnest(%(ids)s::text[]), 1, 1, 1, 1, 1, 1, 1, now(), now()",
        ids=[CUSTOMER, OTHER],
    )


async def fire(shop: Shop) -> None:
    """Let a trigger have fired for both customers."""
    await shop.run(
        "WITH fired AS (INSERT INTO trigger_firings (tenant_id, id, trigger_id, customer_id, event_id, event_type,"
        " action_type) SELECT %(tenant_id)s, gen_random_uuid(), gen_random_uuid(), unnest(%(ids)s::text[]), 'e', 'x',"
        " 'webhook' RETURNING id, trigger_id, customer_id), cooled AS (INSERT INTO trigger_cooldowns"
        " SELECT %(tenant_id)s, trigger_id, customer_id, now() FROM fired)"
        " INSERT INTO jobs (tenant_id, id, queue, type, payload, status) SELECT %(tenant_id)s, id, 'journey-jobs',"
        " 'trigger_action', jsonb_build_object('event', jsonb_build_object('customerId', customer_id)), 'completed'"
        " FROM fired",
        ids=[CUSTOMER, OTHER],
    )
    facts = [{"id": "1", "customerId": one, "properties": {"owner": one}} for one in (CUSTOMER, OTHER)]
    await shop.run(
        "INSERT INTO jobs (tenant_id, id, queue, type, payload, status) SELECT %(tenant_id)s, gen_random_uuid(),"
        " 'journey-jobs', 'react_to_facts', %(payload)s::jsonb, 'completed'",
        payload=json.dumps({"type": "customer.created", "facts": facts}),
    )


async def upload(shop: Shop, *customers: str) -> str:
    """Store a log with a decision for each of these customers; return its id."""
    rows = [
        {
            "decisionId": f"d{place}",
            "customerId": customer,
            "action": "gold",
            "selectionProbability": 0.5,
            "reward": place,
            "attributes": {"owner": customer},
        }
        for place, customer in enumerate(customers)
    ]
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    headers = {"Content-Type": "application/x-ndjson"}
    answer = await shop.api.editor.post("/api/v1/decision-logs", content=content, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["logId"]


async def fail(shop: Shop) -> None:
    """Let events of a stream have failed, and a model with both customers wait for approval."""
    for is_ascii in (True, False):
        contents = [json.dumps({"customerId": one, "nope": 1}, ensure_ascii=is_ascii) for one in (CUSTOMER, OTHER)]
        await shop.run(
            "INSERT INTO jobs (tenant_id, id, queue, type, payload, status) SELECT %(tenant_id)s, gen_random_uuid(),"
            " 'journey-jobs', 'stream_event', jsonb_build_object('content', unnest(%(contents)s::text[])), 'dead'",
            contents=contents,
        )
    state = json.dumps({"modelState": {"userEmbeddings": {CUSTOMER: [1.5], OTHER: [2.5]}}})
    await shop.run(
        "INSERT INTO approvals (tenant_id, id, entity_type, entity_name, action, payload, stages, status,"
        " requested_by, requested_by_name, created_at, expires_at) SELECT %(tenant_id)s, gen_random_uuid(),"
        " 'algorithmModel', 'm', 'create', %(state)s::jsonb, '[]', 'pending', 'u', 'u', now(), now()",
        state=state,
    )


async def stocked(shop: Shop) -> dict[str, Any]:
    """Give the tenant a flow, a table of customers and two customers; return the decision of the first."""
    await shop.flow("f", {"type": "match_creatives"}, {"type": "enrich", "config": {"optional": True}})
    await people(shop)
    await enrol(shop)
    await fail(shop)
    await upload(shop, CUSTOMER, OTHER)
    decision = await live(shop, CUSTOMER, "k1")
    await live(shop, OTHER, "k2")
    await shop.run(
        "INSERT INTO suppressions (tenant_id, customer_id, policy_id, scope, scope_id, policy_type, reason, expires_at)"
        " SELECT %(tenant_id)s, unnest(%(ids)s::text[]), gen_random_uuid(), 'offer', 'x', 'x', 'x', now()",
        ids=[CUSTOMER, OTHER],
    )
    await shop.run(
        "INSERT INTO variant_assignments SELECT %(tenant_id)s, unnest(%(ids)s::text[]), 'e', 'v', now(), now()",
        ids=[CUSTOMER, OTHER],
    )
    await shop.run(
        "INSERT INTO outbox_dead_letters (id, tenant_id, type, key, payload, error, attempts, created_at)"
        " SELECT gen_random_uuid(), %(tenant_id)s, 'x', unnest(%(ids)s::text[]), '{}', 'x', 1, now()",
        ids=[CUSTOMER, OTHER],
    )
    state = json.dumps({"userEmbeddings": {CUSTOMER: [1.5], OTHER: [2.5]}})
    await shop.run(
        "INSERT INTO model_versions (tenant_id, model_id, version, model_type, state)"
        " VALUES (%(tenant_id)s, gen_random_uuid(), 1, 'neural_cf', %(state)s)",
        state=state,
    )
    vectors = {"userEmbeddings": {OTHER: [2.5]}, "itemEmbeddings": {"gold": [1.0]}, "W_hidden": [[1.0], [1.0]]}
    written = {"embeddingDim": 1, "hiddenDim": 1, **vectors, "b_hidden": [0.0], "W_output": [1.0], "b_output": 0.0}
    await created(shop.api.admin, "algorithm-models", name="m", key="m", modelType="neural_cf", modelState=written)
    await shop.run(
        "UPDATE entities SET body = jsonb_set(body, %(place)s::text[], '[1.5]') WHERE tenant_id = %(tenant_id)s"
        " AND kind = 'algorithm_model'",
        place=["modelState", "userEmbeddings", CUSTOMER],
    )
    return decision


async def ask(shop: Shop, **body: Any) -> str:
    answer = await shop.api.admin.post("/api/v1/dsar", json={"subjectId": CUSTOMER, **body})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "queued"
    return answer.json()["requestId"]


async def until_over(shop: Shop, request: str, eventually: Eventually) -> dict[str, Any]:
    async def over() -> bool:
        return (await shop.get(f"jobs/{request}"))["status"] in {"completed", "failed", "dead"}

    await eventually(over)
    return await shop.get(f"jobs/{request}")


def named_in(database_url: str, customer: str) -> set[str]:
    """Return the tables any of whose rows has the customer's name anywhere."""
    tables = """
        SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
        WHERE table_schema = 'public' OR table_schema LIKE 'tenant\\_%'
    """
    # However its quotation mark is escaped, the rest of it is the same.
    rest = customer.rpartition('"')[2]
    spellings = [rest, rest.encode().hex()]
    found = set[str]()
    with psycopg.connect(database_url) as connection:
        for (table,) in connection.execute(tables).fetchall():
            statement = f"SELECT count(*) FROM {table} AS t, unnest(%s::text[]) AS s WHERE strpos(t::text, s) > 0"  # noqa: S608
            row = connection.execute(statement.encode(), (spellings,)).fetchone()
            if row is not None and row[0]:
                found.add(table.rpartition(".")[2])
    return found


def cached(redis_url: str, customer: str) -> list[bytes]:
    with redis.Redis.from_url(redis_url) as client:
        keys = cast("list[bytes]", client.keys())
        return [key for key in keys if customer.encode() in key]


async def test_an_export_holds_everything_and_its_manifest_can_be_checked(
    shop: Shop, redis_url: str, start_worker: StartWorker, eventually: Eventually
) -> None:
    await stocked(shop)
    await eventually(lambda: _is(bool(cached(redis_url, CUSTOMER))))
    run = await shop.api.viewer.post("/api/v1/decide", json={"customerIds": [OTHER, CUSTOMER], "async": True})
    start_worker()
    await until_over(shop, run.json()["jobId"], eventually)
    request = await ask(shop, requestType="export")
    job = await until_over(shop, request, eventually)

    answer = await shop.api.admin.get(f"/api/v1/dsar/{request}/download")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith('attachment; filename="dsar-export-cu_stomer-_-4711-')
    document = answer.json()
    assert document["manifest"] == job["result"]["manifest"]
    expected = {section.name for section in SECTIONS if section.is_exported} | {
        "dynamicSchemaRows",
        "loggedDecisions",
        "cachedFacts",
    }
    assert set(document["sections"]) == expected
    assert [name for name, rows in document["sections"].items() if not rows] == []
    assert OTHER not in answer.text
    # As docs/reference/privacy.md says, and with nothing of ours.
    for name, rows in document["sections"].items():
        lines = b"".join(canonical(row) + b"\n" for row in rows)
        digest = {"rows": len(rows), "sha256": hashlib.sha256(lines).hexdigest()}
        assert document["manifest"]["sections"][name] == digest
    whole = hashlib.sha256(canonical(document["manifest"]["sections"])).hexdigest()
    assert document["manifest"]["sha256"] == whole
    (listed,) = (await shop.api.admin.get("/api/v1/dsar", params={"status": "completed"})).json()["requests"]
    assert (listed["id"], listed["requestType"], listed["subjectId"]) == (request, "export", CUSTOMER)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


async def _is(value: bool) -> bool:
    return value


async def test_an_erasure_leaves_nothing_of_the_customer_and_all_of_the_others(
    shop: Shop, database_url: str, redis_url: str, start_worker: StartWorker, eventually: Eventually
) -> None:
    decision = await stocked(shop)
    await shop.api.viewer.post("/api/v1/decide", json={"customerIds": [OTHER, CUSTOMER], "async": True})
    run = (await shop.get("jobs"))["data"][0]["id"]
    start_worker()
    await until_over(shop, run, eventually)
    export = await ask(shop, requestType="export")
    await until_over(shop, export, eventually)
    before = named_in(database_url, OTHER)
    assert named_in(database_url, CUSTOMER) >= before - {"audit_logs"}

    job = await until_over(shop, await ask(shop, requestType="delete"), eventually)
    assert job["status"] == "completed", job
    counts = job["result"]["deletedCounts"]
    assert set(ALWAYS_COUNTED) <= set(counts)
    assert job["result"]["totalDeleted"] == sum(counts.values())
    some = {"interactionHistory", "interactionSummary", "suppression", "decisionTrace", "variantAssignment"}
    assert all(counts[name] > 0 for name in some | {"dynamicSchemaRows", "outboxEvents", "runResults"})
    assert named_in(database_url, CUSTOMER) <= KEPT
    assert cached(redis_url, CUSTOMER) == []
    assert named_in(database_url, OTHER) == before
    replay = await shop.api.viewer.post(f"/api/v1/decision-traces/{decision['recommendationId']}/replay", json={})
    assert (replay.status_code, replay.json()["error"]["code"]) == (410, "inputs_expired")
    assert (await shop.api.admin.get(f"/api/v1/dsar/{export}/download")).status_code == 404
    lines = (await shop.api.viewer.get(f"/api/v1/runs/{run}/results")).text.splitlines()
    assert sorted(json.loads(line)["customerId"] for line in lines) == ["erased", OTHER]
    logged = (await shop.api.admin.get("/api/v1/audit-logs", params={"action": "erase"})).json()["data"]
    assert [row["after"] for row in logged] == [counts]


async def test_an_erasure_over_http_counts_what_the_product_counts(shop: Shop, database_url: str) -> None:
    await stocked(shop)
    answer = await shop.api.admin.post("/api/v1/gdpr/erasure", json={"customerId": CUSTOMER})
    body = answer.json()
    assert (answer.status_code, body["success"], body["customerId"]) == (200, True, CUSTOMER)
    assert set(ALWAYS_COUNTED) <= set(body["deletedCounts"])
    assert body["totalDeleted"] == sum(body["deletedCounts"].values()) > 0
    assert named_in(database_url, CUSTOMER) == set()
    again = (await shop.api.admin.post("/api/v1/gdpr/erasure", json={"customerId": CUSTOMER})).json()
    assert again["totalDeleted"] == 0


async def test_a_customer_who_was_erased_begins_anew(shop: Shop) -> None:
    await stocked(shop)
    await shop.api.admin.post("/api/v1/gdpr/erasure", json={"customerId": CUSTOMER})
    await live(shop, CUSTOMER, "k3")
    rows = await shop.rows(
        "SELECT version FROM customers WHERE tenant_id = %(tenant_id)s AND customer_id = %(id)s", id=CUSTOMER
    )
    assert len(rows) == 1


async def test_a_batch_run_decides_for_nobody_who_was_erased(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    await stocked(shop)
    answer = await shop.api.viewer.post("/api/v1/decide", json={"customerIds": [OTHER, CUSTOMER], "async": True})
    await shop.api.admin.post("/api/v1/gdpr/erasure", json={"customerId": CUSTOMER})
    start_worker()
    job = await until_over(shop, answer.json()["jobId"], eventually)
    assert job["status"] == "completed", job
    lines = (await shop.api.viewer.get(f"/api/v1/runs/{answer.json()['runId']}/results")).text.splitlines()
    assert sorted(json.loads(line)["customerId"] for line in lines) == ["erased", OTHER]
    traced = await shop.rows(
        "SELECT customer_id FROM decision_traces WHERE tenant_id = %(tenant_id)s AND customer_id <> %(id)s", id=OTHER
    )
    assert traced == []


async def test_an_address_names_whoever_has_it(shop: Shop, start_worker: StartWorker, eventually: Eventually) -> None:
    await stocked(shop)
    start_worker()
    request = await ask(shop, requestType="export", subjectId="0@EXAMPLE.org", subjectType="email")
    await until_over(shop, request, eventually)
    sections = (await shop.api.admin.get(f"/api/v1/dsar/{request}/download")).json()["sections"]
    assert [row["customer_id"] for row in sections["customers"]] == [CUSTOMER]
    nobody = await ask(shop, requestType="export", subjectId="nobody@example.org", subjectType="email")
    await until_over(shop, nobody, eventually)
    empty = (await shop.api.admin.get(f"/api/v1/dsar/{nobody}/download")).json()
    assert not any(empty["sections"].values())


async def test_what_is_on_legal_hold_is_not_erased(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    await stocked(shop)
    waiting = await ask(shop, requestType="delete")
    await shop.run(
        "INSERT INTO retention_configs (tenant_id, data_class, legal_hold) VALUES (%(tenant_id)s, 'decisions', true)"
    )
    before = await shop.counts()
    for path, body in (
        ("dsar", {"requestType": "delete", "subjectId": CUSTOMER}),
        ("gdpr/erasure", {"customerId": CUSTOMER}),
    ):
        answer = await shop.api.admin.post(f"/api/v1/{path}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "legal_hold")
    start_worker()
    job = await until_over(shop, waiting, eventually)
    assert (job["status"], job["error"]["code"]) == ("failed", "legal_hold")
    assert await shop.counts() == before
    export = await ask(shop, requestType="export")
    assert (await until_over(shop, export, eventually))["status"] == "completed"


async def test_another_tenant_s_customer_of_the_same_name_is_left_alone(shop: Shop, other_shop: Shop) -> None:
    await stocked(shop)
    await stocked(other_shop)
    before = await other_shop.counts()
    await shop.api.admin.post("/api/v1/gdpr/erasure", json={"customerId": CUSTOMER})
    assert await other_shop.counts() == before


@pytest.mark.parametrize("path", ["dsar", "gdpr/erasure"])
async def test_ten_a_minute_are_enough_and_only_an_admin_may(shop: Shop, path: str) -> None:
    body = {"customerId": "x"} if path == "gdpr/erasure" else {"requestType": "export", "subjectId": "x"}
    assert (await shop.api.editor.post(f"/api/v1/{path}", json=body)).status_code == 403
    codes = [(await shop.api.admin.post(f"/api/v1/{path}", json=body)).status_code for _ in range(11)]
    assert codes[-1] == 429
    assert set(codes[:-1]) <= {200, 202}
    assert (await shop.api.admin.get("/api/v1/dsar")).status_code == 200


async def test_what_is_not_a_completed_export_cannot_be_downloaded(shop: Shop) -> None:
    request = await ask(shop, requestType="export")
    for name in (request, str(uuid4()), "x"):
        assert (await shop.api.admin.get(f"/api/v1/dsar/{name}/download")).status_code == 404
