-- name: facts
-- A digest's card speaks of many notifications, so its members have no summary. The id of an escalation stands for itself.
SELECT id::text, event_id, correlation_id, event_type, priority, channel, sent_at, coalesce(lang, 'en'), acknowledged_by, acknowledged_at, action_taken,
    CASE WHEN digest_id IS NULL THEN left(card_payload ->> 'fallbackText', 400) END, coalesce(subject, '{}')
FROM teams_notifications WHERE id = %(id)s::uuid;

-- name: accept
INSERT INTO teams_actions (notification_id, action, who, note, via, at)
VALUES (%(notification_id)s::uuid, %(action)s, %(who)s, %(note)s, %(via)s, %(at)s)
ON CONFLICT (notification_id) DO NOTHING;

-- name: waiting
-- Actions whose row is there by now. Locked, so that two processes do not do the same; what the first one locks the second one skips.
SELECT a.notification_id::text, a.action, a.who, a.note, a.via, a.at,
    n.stream, n.event_id, n.event_type, n.correlation_id, n.channel, n.stakeholders, n.priority, coalesce(n.lang, 'en'), n.sent_at,
    CASE WHEN n.digest_id IS NULL THEN left(n.card_payload ->> 'fallbackText', 400) END, n.traceparent
FROM teams_actions a JOIN teams_notifications n ON n.id = a.notification_id
WHERE a.applied_at IS NULL
ORDER BY a.at
LIMIT %(limit)s
FOR UPDATE OF a SKIP LOCKED;

-- name: apply
-- A row that somebody has taken in another way keeps who was first.
UPDATE teams_notifications
SET acknowledged_by = %(who)s, acknowledged_at = %(at)s, action_taken = %(action)s, action_data = %(data)s::jsonb
WHERE id = %(notification_id)s::uuid AND acknowledged_at IS NULL
RETURNING id;

-- name: applied
UPDATE teams_actions SET applied_at = now() WHERE notification_id = %(notification_id)s::uuid;

-- name: answer_family
-- An answer to an event or to one of its escalations answers all its escalations, and what the answered one escalated.
UPDATE teams_notifications
SET acknowledged_by = %(who)s, acknowledged_at = %(at)s, action_taken = %(action)s, action_data = %(data)s::jsonb
WHERE acknowledged_at IS NULL AND id IN (
    SELECT escalation_id FROM teams_escalations WHERE stream = %(stream)s AND event_id = %(event_id)s
    UNION ALL
    SELECT notification_id FROM teams_escalations WHERE escalation_id = %(notification_id)s::uuid
);
