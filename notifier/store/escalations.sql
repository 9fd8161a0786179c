-- name: lock_event
-- One process at a time works on an event; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended(%(stream)s || chr(31) || %(event_id)s, 0));

-- name: try_lock_event
SELECT pg_try_advisory_xact_lock(hashtextextended(%(stream)s || chr(31) || %(event_id)s, 0));

-- name: due
-- Rows to look at now. An escalation's own row drives on the event that it escalates.
SELECT n.id::text, n.channel, n.event_type, coalesce(e.stream, n.stream), coalesce(e.event_id, n.event_id), e.escalation_id IS NOT NULL
FROM teams_notifications n LEFT JOIN teams_escalations e ON e.escalation_id = n.id
WHERE n.escalation_check_at <= %(now)s AND n.acknowledged_at IS NULL AND n.priority <> 'INFO'
ORDER BY n.escalation_check_at
LIMIT %(limit)s
FOR UPDATE OF n SKIP LOCKED;

-- name: originals
SELECT id::text, channel, stakeholders, priority, coalesce(lang, 'en'), correlation_id, event_type, sent_at,
    acknowledged_by, acknowledged_at, action_taken,
    CASE WHEN digest_id IS NULL THEN left(card_payload ->> 'fallbackText', 400) END, traceparent
FROM teams_notifications WHERE event_id = %(event_id)s AND stream = %(stream)s
ORDER BY sent_at, id;

-- name: steps
SELECT e.step, e.channel, e.at, e.escalation_id::text, n.acknowledged_by, n.acknowledged_at, n.action_taken
FROM teams_escalations e LEFT JOIN teams_notifications n ON n.id = e.escalation_id
WHERE e.stream = %(stream)s AND e.event_id = %(event_id)s
ORDER BY e.step;

-- name: family_of
SELECT stream, event_id FROM teams_escalations WHERE escalation_id = %(id)s::uuid;

-- name: step
-- Who comes second finds the step taken and does nothing.
INSERT INTO teams_escalations (stream, event_id, step, channel, cause, notification_id, escalation_id, who, at)
VALUES (%(stream)s, %(event_id)s, %(step)s, %(channel)s, %(cause)s, %(notification_id)s::uuid, %(escalation_id)s::uuid, %(who)s, %(at)s)
ON CONFLICT DO NOTHING
RETURNING step;

-- name: look_again
UPDATE teams_notifications SET escalation_check_at = %(at)s WHERE id = %(id)s::uuid;

-- name: answered
-- The row of an escalation that came after the answer.
UPDATE teams_notifications
SET acknowledged_by = %(who)s, acknowledged_at = %(at)s, action_taken = %(action)s
WHERE id = %(id)s::uuid AND acknowledged_at IS NULL;
