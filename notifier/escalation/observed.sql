-- name: unacknowledged_critical
-- Bounded in time and number: Prometheus asks several times a minute, and the index on unacknowledged rows starts at this time.
-- A time that is none (infinity) has no age: no version before 17 can subtract it.
SELECT channel, count(*), coalesce(extract(epoch FROM now() - min(sent_at) FILTER (WHERE isfinite(sent_at))), 0)::double precision
FROM (
    SELECT channel, sent_at FROM teams_notifications_unacknowledged_critical
    WHERE sent_at > now() - make_interval(secs => %(within_seconds)s)
    LIMIT %(at_most)s
) AS waiting
GROUP BY channel;
