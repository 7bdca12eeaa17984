-- name: enroll
-- Let customers in who are not in the journey already; `days` is how long they may stay.
INSERT INTO journey_enrollments (tenant_id, id, journey_id, customer_id, node_id, context, expires_at, queued_at)
SELECT
    :tenant_id, given.id, given.journey_id, given.customer_id, given.node_id, given.context::jsonb,
    now() + make_interval(days => given.days), now()
FROM unnest(
    :ids::uuid[], :journey_ids::uuid[], :customer_ids::text[], :node_ids::text[], :contexts::text[], :days::integer[]
) AS given (id, journey_id, customer_id, node_id, context, days)
ORDER BY given.journey_id, given.customer_id
ON CONFLICT DO NOTHING
RETURNING id;

-- name: wake
-- End the waits of these customers for these events, one pair each.
UPDATE journey_enrollments AS enrollment
SET waiting_for = NULL, woken_by = given.event_type, due_at = now(), queued_at = now()
FROM (
    SELECT DISTINCT customer_id, event_type
    FROM unnest(:customer_ids::text[], :event_types::text[]) AS pair (customer_id, event_type)
) AS given
WHERE enrollment.tenant_id = :tenant_id AND enrollment.customer_id = given.customer_id
    AND enrollment.waiting_for = given.event_type AND enrollment.status = 'active'
RETURNING enrollment.id;

-- name: queue_advance!
-- Queue the job that advances these enrolments.
INSERT INTO jobs (tenant_id, id, queue, type, payload, announced_at)
VALUES (
    :tenant_id, :id, 'journey-jobs', 'advance_journeys', jsonb_build_object('enrollmentIds', :enrollment_ids::uuid[]),
    now()
);

-- name: standing^
-- Where an enrolment stands, when its turn has come.
SELECT
    id::text, journey_id::text, customer_id, node_id, step_count, is_waiting, woken_by,
    expires_at <= clock_timestamp() AS is_expired, context
FROM journey_enrollments
WHERE tenant_id = :tenant_id AND id = :id AND status = 'active' AND due_at <= clock_timestamp();

-- name: move^
-- Move an enrolment that still stands where it was found.
UPDATE journey_enrollments SET
    node_id = :node_id,
    step_count = step_count + 1,
    status = :status,
    reason = :reason,
    context = :context,
    is_waiting = :is_waiting,
    waiting_for = :waiting_for,
    woken_by = NULL,
    due_at = CASE
        WHEN :status <> 'active' THEN NULL
        WHEN :is_waiting THEN least(clock_timestamp() + make_interval(secs => :wait_seconds::float8), expires_at)
        ELSE clock_timestamp()
    END,
    ended_at = CASE WHEN :status <> 'active' THEN clock_timestamp() END
WHERE tenant_id = :tenant_id AND id = :id AND step_count = :step_count AND status = 'active'
RETURNING id;

-- name: insert_step!
-- Keep a step that was taken.
INSERT INTO journey_steps (tenant_id, enrollment_id, number, node_id, node_type, outcome)
VALUES (:tenant_id, :enrollment_id, :number, :node_id, :node_type, :outcome);

-- name: insert_event!
-- Tell the event bus of a delivery.
INSERT INTO outbox_events (id, tenant_id, type, key, payload) VALUES (:id, :tenant_id, :type, :key, :payload);

-- name: page_enrollments
-- One page of a journey's enrolments, newest first.
SELECT
    id, journey_id, customer_id, status, node_id, step_count, waiting_for, due_at, entered_at, expires_at, ended_at,
    reason, context
FROM journey_enrollments
WHERE tenant_id = :tenant_id AND journey_id = :journey_id
    AND (:status::text IS NULL OR status = :status)
    AND (:customer_id::text IS NULL OR customer_id = :customer_id)
    AND (:after_at::timestamptz IS NULL OR (entered_at, id) < (:after_at, :after_id::uuid))
ORDER BY entered_at DESC, id DESC
LIMIT :row_count;

-- name: count_enrollments^
-- How many enrolments all pages hold.
SELECT count(*) AS total
FROM journey_enrollments
WHERE tenant_id = :tenant_id AND journey_id = :journey_id
    AND (:status::text IS NULL OR status = :status)
    AND (:customer_id::text IS NULL OR customer_id = :customer_id);

-- name: get_enrollment^
-- One enrolment of a journey.
SELECT
    id, journey_id, customer_id, status, node_id, step_count, waiting_for, due_at, entered_at, expires_at, ended_at,
    reason, context
FROM journey_enrollments
WHERE tenant_id = :tenant_id AND journey_id = :journey_id AND id = :id;

-- name: list_steps
-- The steps of an enrolment, in order.
SELECT number, node_id, node_type, outcome, taken_at
FROM journey_steps
WHERE tenant_id = :tenant_id AND enrollment_id = :id
ORDER BY number;

-- name: end_gone!
-- End the enrolments of journeys that were archived or deleted. System role: it serves every tenant.
UPDATE journey_enrollments AS enrollment
SET status = 'exited', reason = 'journey_archived', due_at = NULL, waiting_for = NULL, ended_at = clock_timestamp()
WHERE enrollment.status = 'active' AND NOT EXISTS (
    SELECT FROM entities AS journey
    WHERE journey.tenant_id = enrollment.tenant_id AND journey.kind = 'journey' AND journey.id = enrollment.journey_id
        AND journey.deleted_at IS NULL AND journey.status <> 'archived'
);

-- name: queue_due^
-- Queue jobs for the enrolments of active journeys whose turn has come, unless one was queued for it that may still
-- come to it; return how many enrolments they are. System role: it serves every tenant.
WITH due AS (
    SELECT enrollment.tenant_id, enrollment.id
    FROM journey_enrollments AS enrollment
    JOIN entities AS journey
        ON journey.tenant_id = enrollment.tenant_id AND journey.kind = 'journey' AND journey.id = enrollment.journey_id
    WHERE enrollment.status = 'active' AND enrollment.due_at <= clock_timestamp()
        AND (
            enrollment.queued_at IS NULL OR enrollment.queued_at < enrollment.due_at
            OR enrollment.queued_at < clock_timestamp() - make_interval(secs => :again_seconds)
        )
        AND journey.status = 'active' AND journey.deleted_at IS NULL
    ORDER BY enrollment.due_at
    LIMIT :row_count
    FOR UPDATE OF enrollment SKIP LOCKED
), marked AS (
    UPDATE journey_enrollments AS enrollment SET queued_at = clock_timestamp()
    FROM due
    WHERE enrollment.tenant_id = due.tenant_id AND enrollment.id = due.id
    RETURNING enrollment.tenant_id, enrollment.id
), parted AS (
    SELECT tenant_id, id, (row_number() OVER (PARTITION BY tenant_id ORDER BY id) - 1) / :chunk_size AS part FROM marked
), queued AS (
    INSERT INTO jobs (tenant_id, id, queue, type, payload)
    SELECT
        tenant_id, gen_random_uuid(), 'journey-jobs', 'advance_journeys',
        jsonb_build_object('enrollmentIds', jsonb_agg(id ORDER BY id))
    FROM parted
    GROUP BY tenant_id, part
)
SELECT count(*) AS total FROM marked;
