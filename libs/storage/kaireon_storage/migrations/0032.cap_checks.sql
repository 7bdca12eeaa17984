-- Whether answers kept to the caps of contact policies, checked afterwards.
-- depends: 0031.traceparents

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Up to which instant a tenant's answers are checked, and in which zone their days began.
CREATE TABLE cap_checks (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    checked_to timestamptz NOT NULL,
    timezone text NOT NULL
);
CALL kaireon_protect('cap_checks');

-- How many offers went beyond a cap, of all tenants, those that are gone too: it never falls, as a counter must not.
CREATE TABLE cap_violations (
    rule_type text PRIMARY KEY,
    count bigint NOT NULL DEFAULT 0
);
GRANT SELECT, INSERT, UPDATE ON cap_violations TO kaireon_app, kaireon_system;
INSERT INTO cap_violations (rule_type) VALUES ('frequency_cap'), ('cross_channel_cap'), ('customer_total_cap');
