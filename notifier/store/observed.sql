-- name: unacknowledged_critical
-- Bounded in time and number: Prometheus asks several times a minute, and the index on unacknowledged rows starts at this time.
SELECT channel, count(*), extract(epoch FROM now() - min(sent_at))::double precision
FROM (
    SELECT channel, sent_at FROM teams_notifications_unacknowledged_critical
    WHERE sent_at > now() - make_interval(secs => %(within_seconds)s)
    LIMIT %(at_most)s
) AS waiting
GROUP BY channel;
