"""Training on stored decisions and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kaireon_application.platform.job_runner import JobRunner
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.jobs import PostgresJobStore
from kaireon_worker.queues.retrain import retrain_handlers
from kaireon_worker.settings import Settings
from tests.api.test_models import MODELS, create

if TYPE_CHECKING:
    from kaireon_application.platform.job import Job, JobHandler, JobRun
    from tests.api.shop import Shop

DECISIONS = 60
PREDICTORS = [{"field": "age"}, {"field": "vip"}, {"field": "context.device"}, {"field": "offer.priority"}]


class _Nobody:
    def started(self, job: Job) -> None: ...

    def ended(self, job: Job, outcome: str, error: BaseException | None) -> None: ...


async def _at_once(handler: JobHandler, run: JobRun) -> dict[str, Any]:
    return await handler(run)


async def trained(shop: Shop, database_url: str, key: str) -> dict[str, Any]:
    """Ask for a training on interactions, run its job, and return the job."""
    asked = await shop.api.editor.post(f"{MODELS}/{key}/train", json={"source": "interactions"})
    assert asked.status_code == 202, asked.text
    runner = JobRunner(
        PostgresJobStore(shop.database),
        retrain_handlers(Settings.model_validate({"database_url": database_url}), Metrics()),
        _Nobody(),
        _at_once,
    )
    await runner.run(shop.tenant_id, asked.json()["jobId"])
    return await shop.get(f"jobs/{asked.json()['jobId']}")


def age_of(number: int) -> int:
    """Return an age from 20 to 59, old and young in turn."""
    return 20 + number * 7 % 40


async def history(shop: Shop) -> None:
    """Let the older half of the customers take gold; the others answer nothing, or no."""
    await shop.flow("f", {"type": "rank"})
    for number in range(DECISIONS):
        age = age_of(number)
        decision = await shop.recommend(
            f"c{number}",
            decisionFlowKey="f",
            channel="web",
            attributes={"age": age, "vip": number % 2 == 0},
            context={"device": "phone" if number % 3 else "tablet"},
        )
        assert [one["offerKey"] for one in decision["decisions"]] == ["gold", "silver", "bronze"]
        for rank, offer, outcome in ((1, "gold", "click" if age >= 40 else None), (2, "silver", "dismiss")):
            if outcome:
                answer = await shop.respond(
                    f"k{number}{offer}",
                    customerId=f"c{number}",
                    offerId=offer,
                    recommendationId=decision["recommendationId"],
                    rank=rank,
                    outcome=outcome,
                )
                assert answer.status_code == 201, answer.text


async def test_what_was_decided_and_answered_is_learnt_from(shop: Shop, database_url: str) -> None:
    await history(shop)
    fields: dict[str, Any] = {"predictors": PREDICTORS}
    for model_type in ("bayesian", "logistic_regression"):
        await create(shop.api.editor, key=model_type, modelType=model_type, **fields)
        job = await trained(shop, database_url, model_type)
        assert (job["status"], job["error"]) == ("completed", None)
        metrics = job["result"]["metrics"]
        # Each decision was shown three offers on an implicit channel; the older customers took gold.
        takers = sum(age_of(number) >= 40 for number in range(DECISIONS))
        assert (metrics["rows"], metrics["positives"]) == (DECISIONS * 3, takers)
        assert metrics["auc"] > 0.9
        rows = [
            {"age": 55, "offer.priority": 90, "context.device": "phone"},
            {"age": 25, "offer.priority": 90, "context.device": "phone"},
            {"age": 55, "offer.priority": 30, "context.device": "phone"},
        ]
        scores = (await shop.api.viewer.post(f"{MODELS}/{model_type}/score", json={"rows": rows})).json()["scores"]
        assert scores[0] > max(scores[1:])
        (version,) = (await shop.get(f"algorithm-models/{model_type}"))["versions"]
        assert version["training"]["source"] == "interactions"
        assert version["training"]["reference"]["features"]["vip"]["counts"] == {"false": 90, "true": 90}
        card = await shop.get(f"algorithm-models/{model_type}/card")
        assert card["data"]["source"] == "interactions"


async def test_tastes_are_learnt_from_who_was_shown_what(shop: Shop, database_url: str) -> None:
    await history(shop)
    await create(shop.api.editor, key="n", modelType="neural_cf", config={"userField": "vip"})
    job = await trained(shop, database_url, "n")
    assert (job["status"], job["error"]) == ("completed", None)
    offers = [{"vip": True, "offerId": offer} for offer in ("gold", "silver", "bronze")]
    scores = (await shop.api.viewer.post(f"{MODELS}/n/score", json={"rows": offers})).json()["scores"]
    assert scores[0] == max(scores)


async def test_without_answers_there_is_nothing_to_learn(shop: Shop, database_url: str) -> None:
    await create(shop.api.editor, key="b", modelType="bayesian", predictors=PREDICTORS)
    job = await trained(shop, database_url, "b")
    assert (job["status"], job["error"]["code"]) == ("failed", "one_class")


@pytest.mark.parametrize(
    ("predictors", "code"), [([], "no_predictors"), ([{"field": "channel.key"}], "unknown_predictor")]
)
async def test_what_cannot_be_learnt_from_is_refused_at_once(
    shop: Shop, predictors: list[dict[str, Any]], code: str
) -> None:
    await create(shop.api.editor, key="b", modelType="bayesian", predictors=predictors)
    answer = await shop.api.editor.post(f"{MODELS}/b/train", json={"source": "interactions"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
