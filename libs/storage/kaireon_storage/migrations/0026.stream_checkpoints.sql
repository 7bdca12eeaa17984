-- How far the inbound events of each partition were taken, and which process takes them now.
-- depends: 0024.interaction_marks

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- The partitions hold events of every tenant. A position is written with the effects of the events before it.
CREATE TABLE stream_checkpoints (
    source text NOT NULL,
    partition text NOT NULL,
    position text,
    lease_token uuid,
    leased_until timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, partition)
);
GRANT SELECT, INSERT, UPDATE ON stream_checkpoints TO kaireon_system;
