-- depends: 0005.search
-- The place in the producer's trace: what follows from a notification (escalations, acknowledgements) continues it.
ALTER TABLE teams_notifications ADD COLUMN traceparent text;
CREATE OR REPLACE VIEW teams_notifications_unacknowledged_critical AS
    SELECT * FROM teams_notifications
    WHERE priority = 'CRITICAL' AND acknowledged_at IS NULL
    ORDER BY sent_at;
