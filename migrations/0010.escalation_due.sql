-- depends: 0009.dead_letter_event
-- transactional: false
-- The time from which a row waits for an answer, by the clocks of the servers; NULL: recorded by a version before this migration.
-- Made while the daemons go on writing. An invalid index of an interrupted attempt is made again.
-- Whoever waits for a table's lock, behind a backup for example, holds up all writers.
SET lock_timeout = '10s';
ALTER TABLE teams_notifications ADD COLUMN IF NOT EXISTS waiting_since timestamptz;
SET lock_timeout = 0;
-- The scheduler takes what is due by priority. Rows that never escalate are not in it.
DROP INDEX CONCURRENTLY IF EXISTS teams_notifications_escalation_due_idx;
CREATE INDEX CONCURRENTLY teams_notifications_escalation_due_idx ON teams_notifications (priority, escalation_check_at)
    WHERE escalation_check_at IS NOT NULL AND acknowledged_at IS NULL AND priority <> 'INFO';
DROP INDEX CONCURRENTLY IF EXISTS teams_notifications_escalation_idx;
