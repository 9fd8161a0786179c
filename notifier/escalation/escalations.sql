-- name: lock_event
-- One process at a time works on an event; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended(%(stream)s || chr(31) || %(event_id)s, 0));

-- name: try_lock_events
SELECT pg_try_advisory_xact_lock(hashtextextended(stream || chr(31) || event_id, 0))
FROM unnest(%(streams)s::text[], %(event_ids)s::text[]) WITH ORDINALITY AS f (stream, event_id, number) ORDER BY number;

-- name: clock
SELECT now();

-- name: due
-- Rows to look at now, the urgent ones first: the loop ends, and locks no more, as soon as there are enough. An escalation's own row drives
-- on the event that it escalates. While its step is not written down, since the process that published it has died, its id names the event.
SELECT n.id::text, coalesce(e.stream, lead.stream, n.stream), coalesce(e.event_id, lead.event_id, n.event_id), n.event_type = 'notifier.escalation'
FROM unnest(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW']) AS p (priority), LATERAL (
    SELECT id, stream, event_id, event_type FROM teams_notifications
    WHERE priority = p.priority AND escalation_check_at <= now() AND acknowledged_at IS NULL AND priority <> 'INFO'
    ORDER BY escalation_check_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) n LEFT JOIN teams_escalations e ON e.escalation_id = n.id
    LEFT JOIN LATERAL (
        SELECT stream, event_id FROM teams_notifications o
        WHERE e.escalation_id IS NULL AND n.event_type = 'notifier.escalation'
            AND o.id = substring(n.event_id FROM '^escalation:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):')::uuid
        LIMIT 1
    ) lead ON true
LIMIT %(limit)s;

-- name: next_due
-- Seconds until the next row is due: the first of each priority by the index.
SELECT extract(epoch FROM min(n.at) - now())::double precision
FROM unnest(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW']) AS p (priority), LATERAL (
    SELECT escalation_check_at AS at FROM teams_notifications
    WHERE priority = p.priority AND escalation_check_at IS NOT NULL AND acknowledged_at IS NULL AND priority <> 'INFO'
    ORDER BY escalation_check_at
    LIMIT 1
) n
WHERE isfinite(n.at);

-- name: originals
SELECT f.number, n.id::text, n.channel, n.stakeholders, n.priority, coalesce(n.lang, 'en'), n.correlation_id, n.event_type,
    coalesce(n.waiting_since, least(n.sent_at, n.created_at)) AS since, n.acknowledged_by, n.acknowledged_at, n.action_taken,
    CASE WHEN n.digest_id IS NULL THEN left(n.card_payload ->> 'fallbackText', 400) END, n.traceparent,
    n.escalation_check_at IS NOT NULL AND n.acknowledged_at IS NULL
FROM unnest(%(streams)s::text[], %(event_ids)s::text[]) WITH ORDINALITY AS f (stream, event_id, number)
    JOIN teams_notifications n ON n.event_id = f.event_id AND n.stream = f.stream
ORDER BY f.number, since, n.id;

-- name: steps
SELECT f.number, e.step, e.channel, e.at, e.escalation_id::text, n.acknowledged_by, n.acknowledged_at, n.action_taken
FROM unnest(%(streams)s::text[], %(event_ids)s::text[]) WITH ORDINALITY AS f (stream, event_id, number)
    JOIN teams_escalations e ON e.stream = f.stream AND e.event_id = f.event_id
    LEFT JOIN teams_notifications n ON n.id = e.escalation_id
ORDER BY f.number, e.step;

-- name: family_of
SELECT stream, event_id FROM teams_escalations WHERE escalation_id = %(id)s::uuid;

-- name: take_steps
-- Who comes second finds the step taken and does nothing.
INSERT INTO teams_escalations (stream, event_id, step, channel, cause, notification_id, escalation_id, who, at)
SELECT stream, event_id, step, channel, cause, notification_id, escalation_id, who, at
FROM jsonb_to_recordset(%(steps)s) AS s (
    stream text, event_id text, step integer, channel text, cause text, notification_id uuid, escalation_id uuid, who text, at timestamptz
)
ON CONFLICT DO NOTHING
RETURNING escalation_id::text;

-- name: look_again
UPDATE teams_notifications n SET escalation_check_at = w.at
FROM unnest(%(ids)s::uuid[], %(ats)s::timestamptz[]) AS w (id, at) WHERE n.id = w.id;

-- name: put_off
UPDATE teams_notifications SET escalation_check_at = now() + make_interval(secs => %(seconds)s) WHERE id = %(id)s::uuid;

-- name: plan_again
-- One page of the rows of one priority that wait for a later look, in order: what would be looked at later than the rules of today say
-- is looked at now.
WITH page AS (
    SELECT id, stream, event_id, escalation_check_at, coalesce(waiting_since, least(sent_at, created_at)) AS since
    FROM teams_notifications
    WHERE priority = %(priority)s AND acknowledged_at IS NULL AND priority <> 'INFO' AND escalation_check_at > now()
        AND (escalation_check_at, id) > (%(at)s::timestamptz, %(id)s::uuid)
    ORDER BY escalation_check_at, id
    LIMIT %(limit)s
), late AS (
    SELECT page.id FROM page
        LEFT JOIN teams_escalations own ON own.escalation_id = page.id
        CROSS JOIN LATERAL (
            SELECT max(at) AS at FROM teams_escalations e
            WHERE e.stream = coalesce(own.stream, page.stream) AND e.event_id = coalesce(own.event_id, page.event_id)
        ) last
    WHERE page.escalation_check_at > coalesce(%(latest)s, coalesce(last.at, page.since) + make_interval(secs => %(after_seconds)s))
), moved AS (
    UPDATE teams_notifications n SET escalation_check_at = now() FROM late WHERE n.id = late.id
)
SELECT page.escalation_check_at::text, page.id::text FROM page ORDER BY page.escalation_check_at DESC, page.id DESC LIMIT 1;

-- name: answered
-- The row of an escalation that came after the answer.
UPDATE teams_notifications
SET acknowledged_by = %(who)s, acknowledged_at = %(at)s, action_taken = %(action)s
WHERE id = %(id)s::uuid AND acknowledged_at IS NULL;
