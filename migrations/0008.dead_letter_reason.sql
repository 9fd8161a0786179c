-- depends: 0007.trace_index
-- Why a notification is a dead letter, as `notifier dlq` says it; NULL: it was delivered, or recorded before this migration.
ALTER TABLE teams_notifications ADD COLUMN dead_letter_reason text;
