DROP VIEW teams_notifications_unacknowledged_critical;
ALTER TABLE teams_notifications DROP COLUMN traceparent;
CREATE VIEW teams_notifications_unacknowledged_critical AS
    SELECT * FROM teams_notifications
    WHERE priority = 'CRITICAL' AND acknowledged_at IS NULL
    ORDER BY sent_at;
