-- depends: 0004.escalations
-- transactional: false
-- Ways in for `notifier trace`: a claim's notifications, and what was done with the dead letters of an event.
-- Made while the daemons go on writing. An invalid index of an interrupted attempt is made again.
DROP INDEX CONCURRENTLY IF EXISTS teams_notifications_claim_id_idx;
CREATE INDEX CONCURRENTLY teams_notifications_claim_id_idx ON teams_notifications ((subject ->> 'claim_id'), sent_at DESC)
    WHERE subject ->> 'claim_id' IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS teams_dead_letter_actions_event_id_idx;
CREATE INDEX CONCURRENTLY teams_dead_letter_actions_event_id_idx ON teams_dead_letter_actions (event_id);
