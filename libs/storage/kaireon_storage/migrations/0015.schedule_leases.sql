-- Which scheduled job is running: two schedulers, or a scheduler and an HTTP call, never run the same one at once.
-- depends: 0014.variants

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- One row for each job that ever ran; the jobs serve every tenant. A run that was killed frees its row by not renewing it.
CREATE TABLE schedule_leases (
    name text PRIMARY KEY,
    token uuid NOT NULL,
    leased_until timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON schedule_leases TO kaireon_system;
