-- Reads of the operations console: each is bounded by an index and a LIMIT, and runs under a short statement_timeout.

-- name: notifications
-- Newest first, page by page: %(before)s and %(before_id)s are where the page before ended.
SELECT {notification_row}
FROM teams_notifications n
WHERE (%(channel)s::text IS NULL OR channel = %(channel)s)
  AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
  AND (%(priority)s::text IS NULL OR priority = %(priority)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(since)s::timestamptz IS NULL OR sent_at >= %(since)s)
  AND (%(before)s::timestamptz IS NULL OR (sent_at, id) < (%(before)s, %(before_id)s::uuid))
ORDER BY sent_at DESC, id DESC
LIMIT %(limit)s;

-- name: notification
SELECT {notification_row} FROM teams_notifications n WHERE id = %(id)s::uuid;

-- name: card
SELECT card_payload AS card, coalesce(lang, 'en') AS lang FROM teams_notifications WHERE id = %(id)s::uuid AND card_payload IS NOT NULL;

-- name: attempts
SELECT notification_id, attempt, started_at, duration_seconds, status_code, error
FROM teams_notification_attempts WHERE notification_id = %(id)s::uuid
ORDER BY started_at, attempt
LIMIT 100;

-- name: siblings
SELECT {notification_row}
FROM teams_notifications n WHERE event_id = %(event_id)s AND stream = %(stream)s AND id <> %(id)s::uuid
ORDER BY channel
LIMIT 50;

-- name: steps
SELECT stream, event_id, step, channel, cause, who, at, escalation_id
FROM teams_escalations WHERE stream = %(stream)s AND event_id = %(event_id)s
ORDER BY step
LIMIT 50;

-- name: unacknowledged
-- By event: a chain of escalations belongs to the event, and so does its acknowledgement. Rows of an escalation count for what it escalates.
WITH waiting AS (
    SELECT n.id, n.channel, n.sent_at, n.status, coalesce(e.stream, n.stream) AS stream, coalesce(e.event_id, n.event_id) AS event_id
    FROM teams_notifications n LEFT JOIN teams_escalations e ON e.escalation_id = n.id
    WHERE n.priority = 'CRITICAL' AND n.acknowledged_at IS NULL
    ORDER BY n.sent_at DESC
    LIMIT %(limit)s
), event AS (
    SELECT stream, event_id, array_agg(channel ORDER BY sent_at) AS waiting_in, bool_or(status = 'dead_lettered') AS undelivered FROM waiting GROUP BY 1, 2
)
SELECT event.stream, event.event_id, event.waiting_in, event.undelivered, first.id AS notification_id, first.event_type, first.correlation_id,
    first.stakeholders, first.sent_at AS since, CASE WHEN first.digest_id IS NULL THEN left(first.card_payload ->> 'fallbackText', 300) END AS summary,
    acknowledged.acknowledged_by, acknowledged.acknowledged_at, acknowledged.channel AS acknowledged_in,
    ARRAY(SELECT step FROM teams_escalations s WHERE s.stream = event.stream AND s.event_id = event.event_id ORDER BY step) AS step_numbers,
    ARRAY(SELECT channel FROM teams_escalations s WHERE s.stream = event.stream AND s.event_id = event.event_id ORDER BY step) AS step_channels,
    ARRAY(SELECT at FROM teams_escalations s WHERE s.stream = event.stream AND s.event_id = event.event_id ORDER BY step) AS step_times
FROM event
JOIN LATERAL (
    SELECT * FROM teams_notifications o WHERE o.event_id = event.event_id AND o.stream = event.stream ORDER BY sent_at, id LIMIT 1
) first ON true
LEFT JOIN LATERAL (
    SELECT acknowledged_by, acknowledged_at, channel FROM (
        SELECT acknowledged_by, acknowledged_at, channel, action_taken FROM teams_notifications o WHERE o.event_id = event.event_id AND o.stream = event.stream
        UNION ALL
        SELECT o.acknowledged_by, o.acknowledged_at, o.channel, o.action_taken
        FROM teams_escalations s JOIN teams_notifications o ON o.id = s.escalation_id
        WHERE s.stream = event.stream AND s.event_id = event.event_id
    ) member
    WHERE acknowledged_at IS NOT NULL AND action_taken IS DISTINCT FROM 'escalate'
    ORDER BY acknowledged_at LIMIT 1
) acknowledged ON true
ORDER BY first.sent_at DESC;

-- name: sent_lately
SELECT channel, count(*) AS count FROM teams_notifications
WHERE sent_at > now() - interval '1 minute' AND status = 'delivered'
GROUP BY channel;

-- name: dead_letter_actions
-- Of the dead letter itself, and of earlier ones of the same notification.
SELECT letter_id, action, who, why, at, reason, detail, edited, stream, event_id, notification_id, channel FROM (
    SELECT * FROM teams_dead_letter_actions WHERE stream = %(stream)s AND letter_id = %(letter_id)s
    UNION
    SELECT * FROM teams_dead_letter_actions
    WHERE %(correlation_id)s::text IS NOT NULL AND correlation_id = %(correlation_id)s AND notification_id = %(notification_id)s
) a
ORDER BY at DESC
LIMIT 20;
