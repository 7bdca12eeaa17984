-- Pending events of a lane, tenant by tenant: a claim takes some of each, so that nobody waits behind another's backlog.

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- In one transaction, not concurrently: no release has been installed with these tables yet.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX outbox_events_waiting ON outbox_events (lane, tenant_id, position) WHERE status = 'pending';
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX outbox_events_pending;
