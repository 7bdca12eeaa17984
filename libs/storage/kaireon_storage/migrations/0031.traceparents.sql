-- The trace that a job or an event belongs to (W3C Trace Context), where somebody traces.
-- depends: 0030.clock_steps

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE outbox_events ADD COLUMN traceparent text;
ALTER TABLE jobs ADD COLUMN traceparent text;
