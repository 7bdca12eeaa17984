"""Rows of uploaded decision logs that name a customer are handed out and erased with everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.api.test_customer_data import CUSTOMER, OTHER, ask, until_over, upload

if TYPE_CHECKING:
    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop


async def exported(shop: Shop, customer: str, eventually: Eventually) -> dict[str, Any]:
    request = await ask(shop, requestType="export", subjectId=customer)
    await until_over(shop, request, eventually)
    return (await shop.api.admin.get(f"/api/v1/dsar/{request}/download")).json()["sections"]


async def test_a_customer_goes_from_uploaded_logs_and_the_others_stay(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    start_worker()
    shared, alone = await upload(shop, OTHER, CUSTOMER, OTHER, "third"), await upload(shop, CUSTOMER, CUSTOMER)
    untouched = await upload(shop, OTHER, f"{CUSTOMER}-2", f"x{CUSTOMER}")
    before = await exported(shop, OTHER, eventually)
    own = (await exported(shop, CUSTOMER, eventually))["loggedDecisions"]
    assert sorted((row["logId"], row["row"]["decisionId"]) for row in own) == sorted(
        [(shared, "d1"), (alone, "d0"), (alone, "d1")]
    )
    assert {name: own[0]["row"][name] for name in ("customerId", "selectionProbability", "attributes", "slot")} == {
        "customerId": CUSTOMER,
        "selectionProbability": 0.5,
        "attributes": {"owner": CUSTOMER},
        "slot": None,
    }
    job = await until_over(shop, await ask(shop, requestType="delete"), eventually)
    assert job["result"]["deletedCounts"]["loggedDecisions"] == 3
    assert (await exported(shop, CUSTOMER, eventually))["loggedDecisions"] == []
    assert (await exported(shop, OTHER, eventually))["loggedDecisions"] == before["loggedDecisions"]
    logs = {log["id"]: log for log in (await shop.get("decision-logs"))["data"]}
    assert set(logs) == {shared, untouched}
    told = {name: logs[shared][name] for name in ("rows", "decisions", "customers", "meanReward")}
    assert told == {"rows": 3, "decisions": 3, "customers": 2, "meanReward": 5 / 3}
    table = {"type": "table", "by": "slot", "probabilities": {"gold": 1}}
    answer = await shop.api.editor.post("/api/v1/off-policy-evaluations", json={"logId": shared, "target": table})
    # It can be read; so few rows are refused.
    assert "the 3 rows tell as much" in answer.json()["error"]["message"]
