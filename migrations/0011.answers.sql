-- depends: 0010.escalation_due
-- An event that was escalated by hand can be acknowledged on the same card; the escalation stays beside it.
ALTER TABLE teams_actions ADD COLUMN IF NOT EXISTS escalated jsonb;
-- A later version may know further actions and ways in: what it wrote down while both are at work must not be lost.
ALTER TABLE teams_actions DROP CONSTRAINT IF EXISTS teams_actions_action_check;
ALTER TABLE teams_actions DROP CONSTRAINT IF EXISTS teams_actions_via_check;
