DROP VIEW teams_notifications_unacknowledged_critical;
ALTER TABLE teams_notifications DROP COLUMN escalation_check_at;
ALTER TABLE teams_notifications DROP COLUMN subject;
CREATE VIEW teams_notifications_unacknowledged_critical AS
    SELECT * FROM teams_notifications
    WHERE priority = 'CRITICAL' AND acknowledged_at IS NULL
    ORDER BY sent_at;
DROP TABLE teams_escalations;
DROP TABLE teams_actions;
