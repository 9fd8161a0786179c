-- depends: 0001.notifications
-- Notifications that were posted together in one digest card share its id.
ALTER TABLE teams_notifications ADD COLUMN digest_id uuid;
CREATE INDEX teams_notifications_digest_id_idx ON teams_notifications (digest_id) WHERE digest_id IS NOT NULL;
CREATE OR REPLACE VIEW teams_notifications_unacknowledged_critical AS
    SELECT * FROM teams_notifications
    WHERE priority = 'CRITICAL' AND acknowledged_at IS NULL
    ORDER BY sent_at;
