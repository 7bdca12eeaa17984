-- name: cool^
-- Let a trigger fire for a customer, unless it did too recently; then no row comes back.
INSERT INTO trigger_cooldowns AS cooldown (tenant_id, trigger_id, customer_id, fired_at)
VALUES (:tenant_id, :trigger_id, :customer_id, now())
ON CONFLICT (tenant_id, trigger_id, customer_id) DO UPDATE SET fired_at = now()
    WHERE cooldown.fired_at <= now() - make_interval(secs => :cooldown_ms::float8 / 1000)
RETURNING trigger_id;

-- name: fire!
-- Keep that a trigger has fired, and queue the job that does what it is for.
WITH fired AS (
    INSERT INTO trigger_firings (tenant_id, id, trigger_id, customer_id, event_id, event_type, action_type)
    VALUES (:tenant_id, :id, :trigger_id, :customer_id, :event_id, :event_type, :action_type)
)
INSERT INTO jobs (tenant_id, id, queue, type, payload, announced_at)
VALUES (
    :tenant_id, :id, 'journey-jobs', 'trigger_action',
    jsonb_build_object('triggerId', :trigger_id::uuid, 'event', :event::jsonb), now()
);

-- name: page_firings
-- One page of a trigger's firings, newest first, with what became of each.
SELECT
    firing.id, firing.customer_id, firing.event_id, firing.event_type, firing.action_type, firing.fired_at,
    job.status, job.attempts, job.error, job.result
FROM trigger_firings AS firing
LEFT JOIN jobs AS job ON job.tenant_id = firing.tenant_id AND job.id = firing.id
WHERE firing.tenant_id = :tenant_id AND firing.trigger_id = :trigger_id
    AND (:customer_id::text IS NULL OR firing.customer_id = :customer_id)
    AND (:after_at::timestamptz IS NULL OR (firing.fired_at, firing.id) < (:after_at, :after_id::uuid))
ORDER BY firing.fired_at DESC, firing.id DESC
LIMIT :row_count;

-- name: count_firings^
-- How many firings all pages hold.
SELECT count(*) AS total
FROM trigger_firings
WHERE tenant_id = :tenant_id AND trigger_id = :trigger_id
    AND (:customer_id::text IS NULL OR customer_id = :customer_id);

-- name: queue_facts!
-- Queue the job that reacts to facts. It is announced by the next round, so that nobody waits for it here.
INSERT INTO jobs (tenant_id, id, queue, type, payload)
VALUES (:tenant_id, :id, 'journey-jobs', 'react_to_facts', :payload);
