-- depends: 0006.traceparent
-- transactional: false
-- Finds a notification by its trace. Rows without a trace are not in it, and cost nothing.
DROP INDEX CONCURRENTLY IF EXISTS teams_notifications_trace_id_idx;
CREATE INDEX CONCURRENTLY teams_notifications_trace_id_idx ON teams_notifications ((substr(traceparent, 4, 32)::uuid))
    WHERE traceparent IS NOT NULL;
