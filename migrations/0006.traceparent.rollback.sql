ALTER TABLE teams_notifications DROP COLUMN traceparent;
