-- name: facts
SELECT id::text, event_id, correlation_id, event_type, priority, channel, sent_at, coalesce(lang, 'en'), acknowledged_by, acknowledged_at, action_taken
FROM teams_notifications WHERE id = %(id)s::uuid;

-- name: take
-- The first one wins: who comes second changes nothing and is told who was first.
UPDATE teams_notifications
SET acknowledged_by = %(who)s, acknowledged_at = now(), action_taken = %(action)s, action_data = %(data)s::jsonb
WHERE id = %(id)s::uuid AND acknowledged_at IS NULL
RETURNING id;
