-- depends: 0008.dead_letter_reason
-- transactional: false
-- Finds what was done with a dead letter by the event that it was; event_id is the one that it became.
DROP INDEX CONCURRENTLY IF EXISTS teams_dead_letter_actions_letter_event_id_idx;
CREATE INDEX CONCURRENTLY teams_dead_letter_actions_letter_event_id_idx ON teams_dead_letter_actions ((letter ->> 'event_id'))
    WHERE letter ->> 'event_id' <> '';
