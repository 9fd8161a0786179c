-- name: facts
-- Of an escalation they are of the event that it escalates; only the channel is its own. Who acted on any card of the event, and on none but to
-- escalate it, has answered it; the row that was acted on comes before those that the answer was copied to.
-- A digest's card speaks of many notifications, so its members have no summary.
WITH root AS (
    SELECT stream, event_id, channel, true AS escalation FROM teams_escalations WHERE escalation_id = %(id)s::uuid
    UNION ALL
    SELECT stream, event_id, channel, false FROM teams_notifications WHERE id = %(id)s::uuid
    ORDER BY escalation DESC LIMIT 1
)
SELECT %(id)s::text, n.event_id, n.correlation_id, n.event_type, n.priority, root.channel, n.sent_at, coalesce(n.lang, 'en'),
    answer.acknowledged_by, answer.acknowledged_at, answer.action_taken,
    CASE WHEN n.digest_id IS NULL THEN left(n.card_payload ->> 'fallbackText', 400) END, coalesce(n.subject, '{}'),
    n.stream, CASE WHEN n.stakeholders = '{}' THEN ARRAY[n.channel] ELSE n.stakeholders END, root.escalation,
    ARRAY(SELECT e.escalation_id::text FROM teams_escalations e WHERE e.stream = root.stream AND e.event_id = root.event_id ORDER BY e.step),
    answer.channel, by_hand.who, by_hand.at, by_hand.channel
FROM root
CROSS JOIN LATERAL (
    SELECT * FROM teams_notifications o WHERE o.stream = root.stream AND o.event_id = root.event_id
    ORDER BY o.id <> %(id)s::uuid, o.sent_at, o.id LIMIT 1
) n
LEFT JOIN LATERAL (
    SELECT m.acknowledged_by, m.acknowledged_at, m.action_taken, m.channel FROM (
        SELECT o.id, o.acknowledged_by, o.acknowledged_at, o.action_taken, o.channel FROM teams_notifications o
        WHERE o.stream = root.stream AND o.event_id = root.event_id
        UNION ALL
        SELECT o.id, o.acknowledged_by, o.acknowledged_at, o.action_taken, o.channel
        FROM teams_escalations e JOIN teams_notifications o ON o.id = e.escalation_id
        WHERE e.stream = root.stream AND e.event_id = root.event_id
    ) m LEFT JOIN teams_actions t ON t.notification_id = m.id
    WHERE m.acknowledged_at IS NOT NULL AND m.action_taken IS DISTINCT FROM 'escalate'
    ORDER BY m.acknowledged_at, t.notification_id IS NULL, m.id LIMIT 1
) answer ON true
LEFT JOIN LATERAL (
    SELECT e.who, e.at, e.channel FROM teams_escalations e
    WHERE e.stream = root.stream AND e.event_id = root.event_id AND e.cause = 'by_hand'
    ORDER BY e.step DESC LIMIT 1
) by_hand ON true;

-- name: accept
-- To escalate settles nothing: what comes after it takes its place, and it stays beside it.
INSERT INTO teams_actions AS a (notification_id, action, who, note, via, at)
VALUES (%(notification_id)s::uuid, %(action)s, %(who)s, %(note)s, %(via)s, %(at)s)
ON CONFLICT (notification_id) DO UPDATE
SET action = excluded.action, who = excluded.who, note = excluded.note, via = excluded.via, at = excluded.at, applied_at = NULL,
    escalated = jsonb_build_object('who', a.who, 'note', a.note, 'via', a.via, 'at', a.at)
WHERE a.action = 'escalate' AND excluded.action <> 'escalate';

-- name: waiting
-- Actions whose row is there by now. One that only a later version knows waits for it. Locked, so that two processes do not do the same; what the first one locks the second one skips.
SELECT a.notification_id::text, a.action, a.who, a.note, a.via, a.at,
    n.stream, n.event_id, n.event_type, n.correlation_id, n.channel, n.stakeholders, n.priority, coalesce(n.lang, 'en'), n.sent_at,
    CASE WHEN n.digest_id IS NULL THEN left(n.card_payload ->> 'fallbackText', 400) END, n.traceparent
FROM teams_actions a JOIN teams_notifications n ON n.id = a.notification_id
WHERE a.applied_at IS NULL AND a.action = ANY(%(words)s) AND a.notification_id <> ALL(%(without)s::uuid[])
ORDER BY a.at
LIMIT %(limit)s
FOR UPDATE OF a SKIP LOCKED;

-- name: apply
-- A row that somebody has taken in another way keeps who was first, unless that was to escalate it.
UPDATE teams_notifications
SET acknowledged_by = %(who)s, acknowledged_at = %(at)s, action_taken = %(action)s,
    action_data = %(data)s::jsonb || coalesce(
        (SELECT jsonb_build_object('escalated', escalated) FROM teams_actions WHERE notification_id = %(notification_id)s::uuid AND escalated IS NOT NULL), '{}')
WHERE id = %(notification_id)s::uuid AND (acknowledged_at IS NULL OR (action_taken = 'escalate' AND %(action)s <> 'escalate'))
RETURNING id;

-- name: applied
UPDATE teams_actions SET applied_at = now() WHERE notification_id = %(notification_id)s::uuid;

-- name: answer_family
-- An answer to an event or to one of its escalations answers all its escalations; that of an escalation also one notification of the event, if
-- possible the one that it escalated, which may not be recorded yet: all others count as answered with it.
UPDATE teams_notifications
SET acknowledged_by = %(who)s, acknowledged_at = %(at)s, action_taken = %(action)s, action_data = %(data)s::jsonb
WHERE acknowledged_at IS NULL AND id IN (
    SELECT escalation_id FROM teams_escalations WHERE stream = %(stream)s AND event_id = %(event_id)s
    UNION ALL
    (
        SELECT n.id FROM teams_escalations e JOIN teams_notifications n ON n.stream = e.stream AND n.event_id = e.event_id
        WHERE e.escalation_id = %(notification_id)s::uuid AND n.acknowledged_at IS NULL
        ORDER BY n.id <> e.notification_id, n.id LIMIT 1
    )
);
