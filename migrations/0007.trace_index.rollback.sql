-- transactional: false
DROP INDEX CONCURRENTLY IF EXISTS teams_notifications_trace_id_idx;
