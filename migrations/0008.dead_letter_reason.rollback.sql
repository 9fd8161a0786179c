ALTER TABLE teams_notifications DROP COLUMN dead_letter_reason;
