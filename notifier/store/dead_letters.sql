-- name: note
-- Noted before it is done: done but not noted would be worse than noted twice, and a second time changes nothing.
INSERT INTO teams_dead_letter_actions
    (stream, letter_id, action, who, why, reason, detail, channel, event_type, event_id, correlation_id, notification_id, edited, letter)
VALUES
    (%(stream)s, %(letter_id)s, %(action)s, %(who)s, %(why)s, %(reason)s, %(detail)s, %(channel)s, %(event_type)s, %(event_id)s,
     %(correlation_id)s, %(notification_id)s, %(edited)s, %(letter)s::jsonb)
ON CONFLICT (stream, letter_id, action) DO UPDATE SET who = excluded.who, why = excluded.why, at = now(), edited = excluded.edited,
    event_id = excluded.event_id, correlation_id = excluded.correlation_id;

-- name: delivered
SELECT id::text FROM teams_notifications
WHERE id = ANY(%(ids)s::uuid[]) AND status = 'delivered' AND sent_at >= %(since)s;

-- name: discarded
SELECT DISTINCT notification_id FROM teams_dead_letter_actions
WHERE event_id = ANY(%(event_ids)s) AND notification_id = ANY(%(ids)s) AND action = 'discard';
