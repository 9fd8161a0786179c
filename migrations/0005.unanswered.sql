-- depends: 0004.escalations
-- Critical events that nobody has acknowledged: an acknowledgement in one channel counts for the event's cards in all channels.
CREATE OR REPLACE VIEW teams_notifications_unacknowledged_critical AS
    SELECT n.* FROM teams_notifications n
    WHERE n.priority = 'CRITICAL' AND n.acknowledged_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM teams_notifications a
        WHERE a.event_id = n.event_id AND a.stream = n.stream
            AND a.acknowledged_at IS NOT NULL AND a.action_taken IS DISTINCT FROM 'escalate'
    )
    ORDER BY n.sent_at;
