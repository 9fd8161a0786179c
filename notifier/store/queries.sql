-- name: record
-- Takes a JSON array of outcomes. Of several of one notification, within the batch and in the row that is there already, what was
-- delivered counts before what was not, then the latest, so recording twice or out of order ends in the same row.
WITH given AS (
    SELECT *
    FROM jsonb_to_recordset(%(outcomes)s) AS o (
        id uuid, stream text, entry_id text, event_id text, correlation_id text, event_type text, event_time timestamptz,
        lang text, channel text, stakeholders text[], priority text, status text, status_code integer, retry_count integer,
        error_message text, sent_at timestamptz, webhook_host text, template text, card_payload jsonb,
        digest_id uuid, subject jsonb, traceparent text, dead_letter_reason text, attempts jsonb
    )
), outcome AS (
    SELECT DISTINCT ON (id) * FROM given ORDER BY id, status = 'delivered' DESC, sent_at DESC
), recorded AS (
    INSERT INTO teams_notifications AS n (
        id, stream, entry_id, event_id, correlation_id, event_type, event_time, lang, channel, stakeholders, priority, status,
        status_code, retry_count, error_message, sent_at, webhook_host, template, card_payload,
        digest_id, subject, traceparent, dead_letter_reason
    )
    SELECT
        id, stream, entry_id, event_id, correlation_id, event_type, event_time, lang, channel, stakeholders, priority, status,
        status_code, retry_count, error_message, sent_at, webhook_host, template,
        CASE WHEN %(store_cards)s AND card_payload <> 'null'::jsonb THEN card_payload END, digest_id, subject, traceparent, dead_letter_reason
    FROM outcome
    ON CONFLICT (id) DO UPDATE SET
        status = excluded.status, status_code = excluded.status_code, retry_count = excluded.retry_count,
        error_message = excluded.error_message, sent_at = excluded.sent_at, webhook_host = excluded.webhook_host,
        template = excluded.template, card_payload = excluded.card_payload, digest_id = excluded.digest_id,
        dead_letter_reason = excluded.dead_letter_reason
    WHERE ROW(excluded.status = 'delivered', excluded.sent_at) > ROW(n.status = 'delivered', n.sent_at)
)
INSERT INTO teams_notification_attempts (notification_id, attempt, started_at, duration_seconds, status_code, error)
SELECT given.id, a.attempt, a.started_at, a.duration_seconds, a.status_code, a.error
FROM given,
    jsonb_to_recordset(given.attempts) AS a (attempt integer, started_at timestamptz, duration_seconds double precision, status_code integer, error text)
ON CONFLICT DO NOTHING;

-- name: ping
SELECT 1;
