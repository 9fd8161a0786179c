-- transactional: false
DROP INDEX CONCURRENTLY IF EXISTS teams_dead_letter_actions_letter_event_id_idx;
