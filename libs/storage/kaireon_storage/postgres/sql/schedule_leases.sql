-- name: take_lease!
-- Take the lease of a scheduled job, unless a run holds it.
INSERT INTO schedule_leases AS held (name, token, leased_until)
VALUES (:name, :token, clock_timestamp() + make_interval(secs => :seconds))
ON CONFLICT (name) DO UPDATE SET token = excluded.token, leased_until = excluded.leased_until
WHERE kaireon_has_come(held.leased_until);

-- name: renew_lease!
-- Hold the lease for longer, unless another run has taken it.
UPDATE schedule_leases
SET leased_until = clock_timestamp() + make_interval(secs => :seconds)
WHERE name = :name AND token = :token;

-- name: end_lease!
-- Give the lease up, if it is still this run's.
UPDATE schedule_leases
SET leased_until = '-infinity'
WHERE name = :name AND token = :token;
