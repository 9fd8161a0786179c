CREATE OR REPLACE VIEW teams_notifications_unacknowledged_critical AS
    SELECT * FROM teams_notifications
    WHERE priority = 'CRITICAL' AND acknowledged_at IS NULL
    ORDER BY sent_at;
