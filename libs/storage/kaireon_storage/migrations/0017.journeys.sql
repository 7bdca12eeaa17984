-- Journeys: who is in which, where, and the steps taken.
-- depends: 0016.approvals

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE journey_enrollments (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    id uuid NOT NULL,
    journey_id uuid NOT NULL,
    customer_id text NOT NULL,
    status text NOT NULL DEFAULT 'active'
        CHECK (status IN ('active', 'completed', 'exited', 'expired', 'failed')),
    -- The node whose turn it is, and how many steps were taken: who takes one names the number that it found.
    node_id text NOT NULL,
    step_count integer NOT NULL DEFAULT 0,
    is_waiting boolean NOT NULL DEFAULT false,
    waiting_for text,
    woken_by text,
    -- When its turn comes, null once it is over; when a job was last queued for it.
    due_at timestamptz DEFAULT now(),
    queued_at timestamptz,
    -- What it was entered with and what it decided: what its conditions look at.
    context jsonb NOT NULL DEFAULT '{}',
    entered_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    reason text,
    PRIMARY KEY (tenant_id, id)
);
-- A customer is in a journey once at a time.
CREATE UNIQUE INDEX journey_enrollments_once ON journey_enrollments (tenant_id, journey_id, customer_id)
    WHERE status = 'active';
CREATE INDEX journey_enrollments_due ON journey_enrollments (due_at) WHERE status = 'active';
CREATE INDEX journey_enrollments_waiting ON journey_enrollments (tenant_id, customer_id, waiting_for)
    WHERE waiting_for IS NOT NULL;
CREATE INDEX journey_enrollments_newest ON journey_enrollments (tenant_id, journey_id, entered_at DESC, id DESC);
CREATE INDEX journey_enrollments_customer ON journey_enrollments (tenant_id, customer_id);
CALL kaireon_protect('journey_enrollments');

CREATE TABLE journey_steps (
    tenant_id uuid NOT NULL,
    enrollment_id uuid NOT NULL,
    number integer NOT NULL,
    node_id text NOT NULL,
    node_type text NOT NULL,
    outcome jsonb NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, enrollment_id, number),
    FOREIGN KEY (tenant_id, enrollment_id) REFERENCES journey_enrollments (tenant_id, id) ON DELETE CASCADE
);
CALL kaireon_protect('journey_steps');
