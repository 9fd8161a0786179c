-- transactional: false
DROP INDEX CONCURRENTLY IF EXISTS teams_dead_letter_actions_event_id_idx;
DROP INDEX CONCURRENTLY IF EXISTS teams_notifications_claim_id_idx;
