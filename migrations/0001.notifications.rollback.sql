DROP VIEW teams_notifications_unacknowledged_critical;
DROP TABLE teams_notification_attempts;
DROP TABLE teams_notifications;
DROP FUNCTION teams_notifications_touch();
