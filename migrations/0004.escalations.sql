-- depends: 0003.dead_letter_actions
-- Actions of people on cards, and escalations of events that nobody acknowledged.
CREATE TABLE teams_actions (
    notification_id uuid PRIMARY KEY,               -- the first action takes it; no reference: it may come before its row
    action          text NOT NULL CHECK (action IN ('acknowledge', 'escalate', 'retry_task', 'discard_task', 'poll_nphies')),
    who             text NOT NULL,
    note            text NOT NULL DEFAULT '',
    via             text NOT NULL CHECK (via IN ('page', 'sign_on', 'callback', 'outgoing_webhook')),
    at              timestamptz NOT NULL,
    applied_at      timestamptz                     -- when it reached teams_notifications; NULL: the row is not there yet
);
CREATE INDEX teams_actions_waiting_idx ON teams_actions (at) WHERE applied_at IS NULL;
CREATE INDEX teams_actions_at_idx ON teams_actions (at DESC);

CREATE TABLE teams_escalations (
    stream          text NOT NULL,                  -- of the unacknowledged event
    event_id        text NOT NULL,
    step            integer NOT NULL CHECK (step > 0),
    channel         text NOT NULL,                  -- the channel that got the escalation
    cause           text NOT NULL CHECK (cause IN ('unanswered', 'by_hand')),
    notification_id uuid NOT NULL,                  -- what was not answered, or was escalated by hand
    escalation_id   uuid NOT NULL UNIQUE,           -- the notification of the escalation
    who             text,                           -- who escalated by hand
    at              timestamptz NOT NULL,
    PRIMARY KEY (stream, event_id, step)            -- two processes cannot take the same step
);
CREATE UNIQUE INDEX teams_escalations_by_hand_idx ON teams_escalations (notification_id) WHERE cause = 'by_hand';
CREATE INDEX teams_escalations_at_idx ON teams_escalations (at DESC);

ALTER TABLE teams_notifications ADD COLUMN subject jsonb;   -- what it is about (claim, task, batch), for the claims workers
-- When the escalation scheduler looks at a row next; NULL: not any more. Rows from before this migration have NULL: nobody is woken for them.
ALTER TABLE teams_notifications ADD COLUMN escalation_check_at timestamptz;
ALTER TABLE teams_notifications ALTER COLUMN escalation_check_at SET DEFAULT now();
CREATE INDEX teams_notifications_escalation_idx ON teams_notifications (escalation_check_at)
    WHERE escalation_check_at IS NOT NULL AND acknowledged_at IS NULL AND priority <> 'INFO';
CREATE OR REPLACE VIEW teams_notifications_unacknowledged_critical AS
    SELECT * FROM teams_notifications
    WHERE priority = 'CRITICAL' AND acknowledged_at IS NULL
    ORDER BY sent_at;
