-- A clock that is set back does not make leases and delays last longer.
-- depends: 0029.dashboard_counts

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Whether an instant has come, of those that leases and delays end at: none is ten minutes away, unless the clock was
-- set back since it was written.
CREATE FUNCTION kaireon_has_come(instant timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN instant <= clock_timestamp() OR instant > clock_timestamp() + interval '10 minutes';
