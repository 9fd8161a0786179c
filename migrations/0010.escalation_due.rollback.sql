-- transactional: false
DROP INDEX CONCURRENTLY IF EXISTS teams_notifications_escalation_idx;
CREATE INDEX CONCURRENTLY teams_notifications_escalation_idx ON teams_notifications (escalation_check_at)
    WHERE escalation_check_at IS NOT NULL AND acknowledged_at IS NULL AND priority <> 'INFO';
DROP INDEX CONCURRENTLY IF EXISTS teams_notifications_escalation_due_idx;
SET lock_timeout = '10s';
ALTER TABLE teams_notifications DROP COLUMN IF EXISTS waiting_since;
SET lock_timeout = 0;
