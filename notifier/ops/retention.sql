-- name: clock
SELECT clock_timestamp();

-- name: count
-- sent_at is the sending machine's time, which may be wrong; three clocks agree on waiting_since. Older rows have only sent_at.
SELECT
    count(*) FILTER (WHERE priority <> 'CRITICAL' AND greatest(sent_at, waiting_since) < %(before)s) AS ordinary,
    count(*) FILTER (WHERE priority = 'CRITICAL' AND greatest(sent_at, waiting_since) < %(critical_before)s) AS critical
FROM teams_notifications
WHERE sent_at < greatest(%(before)s, %(critical_before)s);

-- name: prune
-- A batch at a time, oldest first: short locks, and vacuum keeps up. Attempts go with their notification.
DELETE FROM teams_notifications WHERE id IN (
    SELECT id FROM teams_notifications
    WHERE sent_at < greatest(%(before)s, %(critical_before)s)
        AND greatest(sent_at, waiting_since) < CASE WHEN priority = 'CRITICAL' THEN %(critical_before)s ELSE %(before)s END
    ORDER BY sent_at
    LIMIT %(batch)s
);

-- name: prune_actions
DELETE FROM teams_actions WHERE at < least(%(before)s, %(critical_before)s);

-- name: prune_escalations
DELETE FROM teams_escalations WHERE at < least(%(before)s, %(critical_before)s);

-- name: prune_dead_letter_actions
DELETE FROM teams_dead_letter_actions WHERE at < least(%(before)s, %(critical_before)s);
