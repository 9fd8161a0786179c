-- depends: 0005.search 0005.unanswered
-- The place in the producer's trace: what follows from a notification (escalations, acknowledgements) continues it.
ALTER TABLE teams_notifications ADD COLUMN traceparent text;
