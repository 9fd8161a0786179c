-- name: note
-- Noted before it is done: done but not noted would be worse than noted and not done. The second one changes nothing yet: the
-- first may be about to do it: see take_over.
INSERT INTO teams_dead_letter_actions
    (stream, letter_id, action, who, why, reason, detail, channel, event_type, event_id, correlation_id, notification_id, edited, letter)
VALUES
    (%(stream)s, %(letter_id)s, %(action)s, %(who)s, %(why)s, %(reason)s, %(detail)s, %(channel)s, %(event_type)s, %(event_id)s,
     %(correlation_id)s, %(notification_id)s, %(edited)s, %(letter)s::jsonb)
ON CONFLICT (stream, letter_id, action) DO NOTHING
RETURNING true;

-- name: take_over
-- Only once it is done: then no other can do it any more, and what was noted before was not done.
UPDATE teams_dead_letter_actions SET who = %(who)s, why = %(why)s, at = now(), edited = %(edited)s, event_id = %(event_id)s,
    correlation_id = %(correlation_id)s
WHERE stream = %(stream)s AND letter_id = %(letter_id)s AND action = %(action)s;

-- name: withdraw
-- Another action on it was noted before it was done. Without such a note the dead letter may be gone by this very action, of which
-- the answer was lost: then its note stays.
DELETE FROM teams_dead_letter_actions mine
WHERE stream = %(stream)s AND letter_id = %(letter_id)s AND action = %(action)s AND EXISTS (
    SELECT FROM teams_dead_letter_actions other
    WHERE other.stream = mine.stream AND other.letter_id = mine.letter_id AND other.action <> mine.action
);

-- name: delivered
SELECT id FROM teams_notifications
WHERE id = ANY(%(ids)s::uuid[]) AND status = 'delivered' AND sent_at >= %(since)s;

-- name: discarded
SELECT DISTINCT notification_id FROM teams_dead_letter_actions
WHERE event_id = ANY(%(event_ids)s) AND notification_id = ANY(%(ids)s) AND action = 'discard';
