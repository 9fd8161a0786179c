-- name: record
-- Takes a JSON array of outcomes. A notification may have several, in the batch and in its existing row.
-- A delivered one wins over the others, then the latest wins. So recording twice or out of order ends in the same row.
-- A row waits since the middle one of three clocks: the daemon's, Redis' when it took the outcome, and this server's. So one wrong clock decides nothing.
-- The first row of an event is checked for all of them. An escalation is checked at once, since its acknowledgement may exist already.
WITH given AS (
    SELECT o.*, to_timestamp((%(arrived)s::double precision[])[o.ordinality]) AS arrived_at
    FROM ROWS FROM (jsonb_to_recordset(%(outcomes)s) AS (
        id uuid, stream text, entry_id text, event_id text, correlation_id text, event_type text, event_time timestamptz,
        lang text, channel text, stakeholders text[], priority text, status text, status_code integer, retry_count integer,
        error_message text, sent_at timestamptz, webhook_host text, template text, card_payload jsonb,
        digest_id uuid, subject jsonb, traceparent text, dead_letter_reason text, attempts jsonb
    )) WITH ORDINALITY AS o
), outcome AS (
    SELECT DISTINCT ON (id) *, greatest(least(sent_at, arrived_at), least(greatest(sent_at, arrived_at), now())) AS waiting_since
    FROM given ORDER BY id, status = 'delivered' DESC, sent_at DESC
), planned AS (
    SELECT outcome.*, CASE
        WHEN event_type = 'notifier.escalation' AND priority <> 'INFO' THEN now()
        WHEN row_number() OVER (PARTITION BY stream, event_id ORDER BY id) > 1 THEN NULL
        WHEN (SELECT true FROM teams_notifications t WHERE t.event_id = outcome.event_id AND t.stream = outcome.stream LIMIT 1) THEN NULL
        ELSE coalesce(first_check.at, waiting_since + make_interval(secs => first_check.after_seconds))
    END AS escalation_check_at
    FROM outcome LEFT JOIN jsonb_to_recordset(%(checks)s) AS first_check (priority text, after_seconds double precision, at timestamptz) USING (priority)
), recorded AS (
    INSERT INTO teams_notifications AS n (
        id, stream, entry_id, event_id, correlation_id, event_type, event_time, lang, channel, stakeholders, priority, status,
        status_code, retry_count, error_message, sent_at, webhook_host, template, card_payload,
        digest_id, subject, traceparent, dead_letter_reason, waiting_since, escalation_check_at
    )
    SELECT
        id, stream, entry_id, event_id, correlation_id, event_type, event_time, lang, channel, stakeholders, priority, status,
        status_code, retry_count, error_message, sent_at, webhook_host, template,
        CASE WHEN %(store_cards)s AND card_payload <> 'null'::jsonb THEN card_payload END, digest_id, subject, traceparent, dead_letter_reason,
        waiting_since, escalation_check_at
    FROM planned
    ON CONFLICT (id) DO UPDATE SET
        status = excluded.status, status_code = excluded.status_code, retry_count = excluded.retry_count,
        error_message = excluded.error_message, sent_at = excluded.sent_at, webhook_host = excluded.webhook_host,
        template = excluded.template, card_payload = excluded.card_payload, digest_id = excluded.digest_id,
        dead_letter_reason = excluded.dead_letter_reason, waiting_since = excluded.waiting_since
    WHERE ROW(excluded.status = 'delivered', excluded.sent_at) > ROW(n.status = 'delivered', n.sent_at)
)
INSERT INTO teams_notification_attempts (notification_id, attempt, started_at, duration_seconds, status_code, error)
SELECT given.id, a.attempt, a.started_at, a.duration_seconds, a.status_code, a.error
FROM given,
    jsonb_to_recordset(given.attempts) AS a (attempt integer, started_at timestamptz, duration_seconds double precision, status_code integer, error text)
ON CONFLICT DO NOTHING;
