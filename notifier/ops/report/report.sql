-- Every query reads the rows of a period by the index on sent_at, once; a day (or hour) is one of the time zone.
-- name: counts
-- One pass for all groupings, over counts of their finest cells: a row is counted once, not five times. Types without a route of their own are not named: a producer may have put anything into them.
SELECT
    CASE
        WHEN grouping(event_type) = 0 THEN 'event_type' WHEN grouping(channel) = 0 THEN 'channel'
        WHEN grouping(priority) = 0 THEN 'priority' WHEN grouping(slot) = 0 THEN 'slot' ELSE 'all'
    END AS grouped_by,
    coalesce(event_type, channel, priority, '') AS name, slot,
    sum(ended)::bigint AS total, sum(delivered)::bigint AS delivered, sum(retried)::bigint AS retried
FROM (
    SELECT CASE WHEN event_type = ANY(%(known_types)s) THEN event_type ELSE '(others)' END AS event_type,
        channel, priority, date_trunc(%(slot)s, sent_at, %(time_zone)s) AS slot,
        count(*) AS ended, count(*) FILTER (WHERE status = 'delivered') AS delivered, count(*) FILTER (WHERE retry_count > 0) AS retried
    FROM teams_notifications WHERE sent_at >= %(since)s AND sent_at < %(until)s
    GROUP BY 1, 2, 3, 4
) AS cell
GROUP BY GROUPING SETS ((event_type), (channel), (priority), (slot), ())
ORDER BY 1, 3, 4 DESC, 2;

-- name: dead_letters
SELECT 'dead_letter' AS grouped_by, coalesce(dead_letter_reason, 'not recorded') AS name, count(*) AS total
FROM teams_notifications
WHERE sent_at >= %(since)s AND sent_at < %(until)s AND status = 'dead_lettered'
GROUP BY 2 ORDER BY 3 DESC, 2;

-- name: latency
-- The notifications of a digest share a post: it counts once.
WITH posts AS (
    SELECT n.channel, a.duration_seconds, date_trunc(%(slot)s, n.sent_at, %(time_zone)s) AS slot
    FROM teams_notifications n JOIN teams_notification_attempts a ON a.notification_id = n.id
    WHERE n.sent_at >= %(since)s AND n.sent_at < %(until)s AND n.digest_id IS NULL
    UNION ALL
    SELECT channel, duration_seconds, slot
    FROM (
        SELECT DISTINCT n.channel, a.started_at, a.duration_seconds, date_trunc(%(slot)s, n.sent_at, %(time_zone)s) AS slot
        FROM teams_notifications n JOIN teams_notification_attempts a ON a.notification_id = n.id
        WHERE n.sent_at >= %(since)s AND n.sent_at < %(until)s AND n.digest_id IS NOT NULL
    ) AS shared
)
SELECT
    CASE WHEN grouping(channel) = 0 THEN 'channel' WHEN grouping(slot) = 0 THEN 'slot' ELSE 'all' END AS grouped_by,
    coalesce(channel, '') AS name, slot, count(*) AS total,
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_seconds) AS percentiles
FROM posts
GROUP BY GROUPING SETS ((channel), (slot), ())
ORDER BY 1, slot, 2;

-- name: acknowledgements
-- As the checklist has it: from the delivery until its acknowledgement, of acknowledged ones.
WITH acknowledged AS (
    SELECT priority, date_trunc(%(slot)s, sent_at, %(time_zone)s) AS slot,
        greatest(0, extract(epoch FROM acknowledged_at - sent_at))::double precision AS seconds
    FROM teams_notifications
    WHERE sent_at >= %(since)s AND sent_at < %(until)s AND isfinite(acknowledged_at)
)
SELECT CASE WHEN grouping(slot) = 1 THEN 'priority' ELSE 'slot' END AS grouped_by, priority AS name, slot, count(*) AS total, avg(seconds) AS average,
    percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) AS percentiles,
    ARRAY[
        count(*) FILTER (WHERE seconds <= 60), count(*) FILTER (WHERE seconds <= 300), count(*) FILTER (WHERE seconds <= 900),
        count(*) FILTER (WHERE seconds <= 1800), count(*) FILTER (WHERE seconds <= 3600), count(*) FILTER (WHERE seconds <= 14400)
    ] AS within
FROM acknowledged
GROUP BY GROUPING SETS ((priority), (priority, slot))
HAVING grouping(slot) = 1 OR priority = 'CRITICAL'
ORDER BY 1, slot, 2;

-- name: unacknowledged_critical
SELECT count(*) AS count, extract(epoch FROM now() - min(sent_at) FILTER (WHERE isfinite(sent_at)))::double precision AS oldest_seconds
FROM teams_notifications_unacknowledged_critical;

-- name: people
SELECT 'action' AS grouped_by, action AS name, count(*) AS total FROM teams_actions WHERE at >= %(since)s AND at < %(until)s GROUP BY action
UNION ALL
SELECT 'escalation', cause, count(*) FROM teams_escalations WHERE at >= %(since)s AND at < %(until)s GROUP BY cause
UNION ALL
SELECT 'dead letter', action, count(*) FROM teams_dead_letter_actions WHERE at >= %(since)s AND at < %(until)s GROUP BY action
ORDER BY 1, 2;
