-- name: facts
-- Of an escalation they are of the event that it escalates; only the channel is its own. An action on any card of the event acknowledges it, unless
-- it only escalates; the row that was acted on comes before those that the acknowledgement was copied to.
-- A digest's card speaks of many notifications, so its members have no summary.
WITH root AS (
    SELECT stream, event_id, channel, true AS escalation FROM teams_escalations WHERE escalation_id = %(id)s::uuid
    UNION ALL
    SELECT stream, event_id, channel, false FROM teams_notifications WHERE id = %(id)s::uuid
    ORDER BY escalation DESC LIMIT 1
)
SELECT %(id)s::text AS id, n.event_id, n.correlation_id, n.event_type, n.priority, root.channel, n.sent_at, coalesce(n.lang, 'en') AS lang,
    acknowledged.acknowledged_by, acknowledged.acknowledged_at, acknowledged.action_taken,
    CASE WHEN n.digest_id IS NULL THEN left(n.card_payload ->> 'fallbackText', 400) END AS summary, coalesce(n.subject, '{}') AS subject,
    n.stream, CASE WHEN n.stakeholders = '{}' THEN ARRAY[n.channel] ELSE n.stakeholders END AS channels, root.escalation AS is_escalation,
    ARRAY(
        SELECT e.escalation_id::text FROM teams_escalations e WHERE e.stream = root.stream AND e.event_id = root.event_id ORDER BY e.step
    ) AS escalation_ids,
    acknowledged.channel AS acknowledged_in, by_hand.who AS escalated_by, by_hand.at AS escalated_at, by_hand.channel AS escalated_to
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
) acknowledged ON true
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

-- name: pending
-- An action whose row is there by now. One that only a later version knows waits for it. Locked, so that two processes do not do the same; the second one skips it.
SELECT a.notification_id, a.action AS word, a.who, a.note, a.via, a.at, n.stream, n.event_id, n.event_type, n.correlation_id, n.channel, n.priority,
    coalesce(n.lang, 'en') AS lang, n.sent_at, CASE WHEN n.digest_id IS NULL THEN left(n.card_payload ->> 'fallbackText', 400) END AS summary, n.traceparent
FROM teams_actions a JOIN teams_notifications n ON n.id = a.notification_id
WHERE a.applied_at IS NULL AND a.action = ANY(%(words)s) AND a.notification_id <> ALL(%(without)s::uuid[])
ORDER BY a.at
LIMIT 1
FOR UPDATE OF a SKIP LOCKED;

-- name: apply
-- A row that somebody has acted on otherwise keeps who was first, unless that was to escalate it.
UPDATE teams_notifications
SET acknowledged_by = %(who)s, acknowledged_at = %(at)s, action_taken = %(action)s,
    action_data = %(data)s::jsonb || coalesce(
        (SELECT jsonb_build_object('escalated', escalated) FROM teams_actions WHERE notification_id = %(notification_id)s::uuid AND escalated IS NOT NULL), '{}')
WHERE id = %(notification_id)s::uuid AND (acknowledged_at IS NULL OR (action_taken = 'escalate' AND %(action)s <> 'escalate'))
RETURNING id;

-- name: applied
UPDATE teams_actions SET applied_at = now() WHERE notification_id = %(notification_id)s::uuid;

-- name: acknowledge_event
-- Whoever acknowledges an event or one of its escalations acknowledges all its escalations; whoever acknowledges an escalation also one notification
-- of the event, if possible the one that it escalated, which may not be recorded yet: all others count as acknowledged with it.
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

-- name: lock_event
-- One process at a time works on an event; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended(%(stream)s || chr(31) || %(event_id)s, 0));

-- name: try_lock_events
SELECT pg_try_advisory_xact_lock(hashtextextended(stream || chr(31) || event_id, 0))
FROM unnest(%(streams)s::text[], %(event_ids)s::text[]) WITH ORDINALITY AS f (stream, event_id, number) ORDER BY number;

-- name: clock
SELECT now();

-- name: due
-- Rows to check now, the urgent ones first: the loop ends, and locks no more, as soon as there are enough. An escalation's own row drives
-- on the event that it escalates. While its step is not written down, since the process that published it has died, its id names the event.
SELECT n.id, coalesce(e.stream, lead.stream, n.stream) AS stream, coalesce(e.event_id, lead.event_id, n.event_id) AS event_id,
    n.event_type = 'notifier.escalation' AS is_escalation
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

-- name: notifications
SELECT n.stream, n.event_id, n.id, n.channel, n.stakeholders, n.priority, coalesce(n.lang, 'en') AS lang, n.correlation_id, n.event_type,
    coalesce(n.waiting_since, least(n.sent_at, n.created_at)) AS since, n.acknowledged_by, n.acknowledged_at, n.action_taken,
    CASE WHEN n.digest_id IS NULL THEN left(n.card_payload ->> 'fallbackText', 400) END AS summary, n.traceparent,
    n.escalation_check_at IS NOT NULL AND n.acknowledged_at IS NULL AS drives
FROM unnest(%(streams)s::text[], %(event_ids)s::text[]) AS f (stream, event_id)
    JOIN teams_notifications n ON n.event_id = f.event_id AND n.stream = f.stream
ORDER BY since, n.id;

-- name: steps
SELECT e.stream, e.event_id, e.step AS number, e.channel, e.at, e.escalation_id AS id, n.acknowledged_by, n.acknowledged_at, n.action_taken
FROM unnest(%(streams)s::text[], %(event_ids)s::text[]) AS f (stream, event_id)
    JOIN teams_escalations e ON e.stream = f.stream AND e.event_id = f.event_id
    LEFT JOIN teams_notifications n ON n.id = e.escalation_id
ORDER BY e.step;

-- name: event_of
SELECT stream, event_id FROM teams_escalations WHERE escalation_id = %(id)s::uuid;

-- name: add_steps
-- A second process finds the step there and does nothing.
INSERT INTO teams_escalations (stream, event_id, step, channel, cause, notification_id, escalation_id, who, at)
SELECT stream, event_id, step, channel, cause, notification_id, escalation_id, who, at
FROM jsonb_to_recordset(%(steps)s) AS s (
    stream text, event_id text, step integer, channel text, cause text, notification_id uuid, escalation_id uuid, who text, at timestamptz
)
ON CONFLICT DO NOTHING
RETURNING escalation_id;

-- name: set_next_checks
UPDATE teams_notifications n SET escalation_check_at = w.at
FROM unnest(%(ids)s::uuid[], %(ats)s::timestamptz[]) AS w (id, at) WHERE n.id = w.id;

-- name: put_off
UPDATE teams_notifications SET escalation_check_at = now() + make_interval(secs => %(seconds)s) WHERE id = %(id)s::uuid;

-- name: plan_again
-- One page of the rows of one priority that wait for a later check, in order: those that would be checked later than the rules of today say
-- are checked now.
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
SELECT page.escalation_check_at::text AS at, page.id FROM page ORDER BY page.escalation_check_at DESC, page.id DESC LIMIT 1;

-- name: copy_acknowledgement
-- The row of an escalation that came after the acknowledgement.
UPDATE teams_notifications
SET acknowledged_by = %(who)s, acknowledged_at = %(at)s, action_taken = %(action)s
WHERE id = %(id)s::uuid AND acknowledged_at IS NULL;

-- name: unacknowledged_critical
-- Bounded in time and number: Prometheus asks several times a minute, and the index on unacknowledged rows starts at this time.
-- A time that is none (infinity) has no age: no version before 17 can subtract it.
SELECT channel, count(*) AS count, coalesce(extract(epoch FROM now() - min(sent_at) FILTER (WHERE isfinite(sent_at))), 0)::double precision AS oldest_seconds
FROM (
    SELECT channel, sent_at FROM teams_notifications_unacknowledged_critical
    WHERE sent_at > now() - make_interval(secs => %(within_seconds)s)
    LIMIT %(at_most)s
) AS waiting
GROUP BY channel;
