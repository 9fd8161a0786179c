-- name: rows
-- Each way in has an index.
-- Materialized, so that the newest of an id are never sought along all that was sent, newest first.
WITH of_event AS MATERIALIZED (
    SELECT id, sent_at FROM teams_notifications WHERE event_id = ANY(%(event_ids)s)
), correlated AS MATERIALIZED (
    SELECT id, sent_at FROM teams_notifications WHERE correlation_id = %(text)s
), traced AS MATERIALIZED (
    SELECT id, sent_at FROM teams_notifications WHERE substr(traceparent, 4, 32)::uuid = %(uuid)s::uuid
), matched AS (
    (SELECT id, sent_at FROM teams_notifications WHERE id = %(uuid)s::uuid)
    UNION
    (SELECT id, sent_at FROM teams_notifications WHERE digest_id = %(uuid)s::uuid)
    UNION
    (SELECT id, sent_at FROM traced ORDER BY sent_at DESC LIMIT %(limit)s)
    UNION
    (SELECT id, sent_at FROM of_event ORDER BY sent_at DESC LIMIT %(limit)s)
    UNION
    (SELECT id, sent_at FROM correlated ORDER BY sent_at DESC LIMIT %(limit)s)
    UNION
    (SELECT id, sent_at FROM teams_notifications WHERE subject ->> 'claim_id' = %(text)s ORDER BY sent_at DESC LIMIT %(limit)s)
)
SELECT {notification_row}
FROM matched JOIN teams_notifications n USING (id)
ORDER BY n.sent_at DESC, n.id
LIMIT %(limit)s;

-- name: cards
SELECT id, card_payload AS card FROM teams_notifications WHERE id = ANY(%(ids)s::uuid[]) AND card_payload IS NOT NULL;

-- name: attempts
SELECT notification_id, attempt, started_at, duration_seconds, status_code, error
FROM teams_notification_attempts WHERE notification_id = ANY(%(ids)s::uuid[])
ORDER BY notification_id, started_at, attempt
LIMIT 2000;

-- name: actions
SELECT notification_id, action, who, at, via, applied_at IS NOT NULL AS applied
FROM teams_actions WHERE notification_id = ANY(%(ids)s::uuid[]);

-- name: escalations
SELECT e.stream, e.event_id, e.step, e.channel, e.cause, e.who, e.at, e.escalation_id
FROM unnest(%(streams)s::text[], %(event_ids)s::text[]) AS asked (stream, event_id)
    JOIN teams_escalations e ON e.stream = asked.stream AND e.event_id = asked.event_id
UNION
SELECT stream, event_id, step, channel, cause, who, at, escalation_id
FROM teams_escalations WHERE escalation_id = ANY(%(ids)s::uuid[])
ORDER BY at
LIMIT 500;

-- name: dead_letter_actions
WITH matched AS (
    (SELECT stream, letter_id, action FROM teams_dead_letter_actions WHERE correlation_id = ANY(%(correlation_ids)s) ORDER BY at DESC LIMIT 200)
    UNION
    (SELECT stream, letter_id, action FROM teams_dead_letter_actions WHERE event_id = ANY(%(event_ids)s) ORDER BY at DESC LIMIT 200)
    UNION
    -- event_id is the event that a dead letter became, this the one that it was.
    (SELECT stream, letter_id, action FROM teams_dead_letter_actions
        WHERE letter ->> 'event_id' <> '' AND letter ->> 'event_id' = ANY(%(event_ids)s) ORDER BY at DESC LIMIT 200)
    UNION
    (SELECT stream, letter_id, action FROM teams_dead_letter_actions WHERE stream = ANY(%(streams)s) AND letter_id = %(text)s)
)
SELECT a.letter_id, a.action, a.who, a.why, a.at, a.reason, a.detail, a.edited, a.stream, a.event_id, a.notification_id, a.channel
FROM matched JOIN teams_dead_letter_actions a USING (stream, letter_id, action)
ORDER BY a.at DESC
LIMIT 200;
