-- Marks of interactions that other stores lack; the repairer works across tenants, as kaireon_system.

-- name: claim_marks
-- Lock some marks that are due and that nobody else holds, with what they stand for; null where that is gone. A repairer
-- that stops while it holds marks loses them after :idle_timeout, from the moment it has them: set by this statement.
SELECT
    mark.tenant_id, mark.customer_id, mark.id AS mark_id,
    i.id, i.occurred_at, i.kind, i.outcome_key, i.classification, i.direction, i.offer_id, i.creative_id,
    i.channel_id, i.placement_id, i.recommendation_id, i.rank, i.score, i.conversion_value, i.details
FROM (
    SELECT
        waiting.tenant_id, waiting.customer_id, waiting.id, waiting.occurred_at,
        set_config('idle_in_transaction_session_timeout', :idle_timeout, true)
    FROM interaction_marks AS waiting
    WHERE waiting.due_at <= now()
    ORDER BY waiting.due_at
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
) AS mark
LEFT JOIN interactions AS i
    ON i.tenant_id = mark.tenant_id AND i.occurred_at = mark.occurred_at AND i.id = mark.id;

-- name: delete_marks!
-- Every store has these interactions.
DELETE FROM interaction_marks AS mark
USING unnest(:tenant_ids::uuid[], :customer_ids::text[], :ids::uuid[]) AS done (tenant_id, customer_id, id)
WHERE mark.tenant_id = done.tenant_id AND mark.customer_id = done.customer_id AND mark.id = done.id;

-- name: postpone_marks!
-- A store has refused these interactions, each for itself: they are tried again later.
UPDATE interaction_marks AS mark
SET due_at = now() + make_interval(secs => :seconds), attempts = mark.attempts + 1, last_error = refused.reason
FROM unnest(:tenant_ids::uuid[], :customer_ids::text[], :ids::uuid[], :reasons::text[])
    AS refused (tenant_id, customer_id, id, reason)
WHERE mark.tenant_id = refused.tenant_id AND mark.customer_id = refused.customer_id AND mark.id = refused.id;

-- name: measure_marks^
-- How many interactions wait, counted up to :bound, and since when the longest of them is due.
SELECT
    (SELECT count(*) FROM (SELECT FROM interaction_marks AS mark LIMIT :bound) AS bounded) AS interactions,
    (SELECT min(mark.due_at) FROM interaction_marks AS mark WHERE mark.due_at <= now()) AS due_at;

-- name: delete_customer_marks!
-- Nothing of this customer is to be written any more; waits for a repairer that is writing it.
DELETE FROM interaction_marks WHERE tenant_id = :tenant_id AND customer_id = :customer_id;
