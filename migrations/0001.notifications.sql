-- The audit trail: one row per event and channel, and what each attempt met.
CREATE TABLE teams_notifications (
    id              uuid PRIMARY KEY,               -- UUIDv5 of stream, event id and channel: replays meet the same row
    stream          text NOT NULL,
    entry_id        text NOT NULL,
    event_id        text NOT NULL,
    correlation_id  text NOT NULL,
    event_type      text NOT NULL,
    event_time      timestamptz,
    lang            text,
    channel         text NOT NULL,
    stakeholders    text[] NOT NULL DEFAULT '{}',
    priority        text NOT NULL CHECK (priority IN ('CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'INFO')),
    status          text NOT NULL CHECK (status IN ('delivered', 'dead_lettered')),
    status_code     integer,                        -- the last answer; NULL when none came
    retry_count     integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
    error_message   text,
    sent_at         timestamptz NOT NULL,           -- when the last attempt ended
    webhook_host    text,                           -- never the URL: it is a credential
    template        text,
    card_payload    jsonb,
    acknowledged_by text,
    acknowledged_at timestamptz,
    action_taken    text CHECK (action_taken IN ('acknowledge', 'escalate', 'retry_task', 'discard_task', 'poll_nphies')),
    action_data     jsonb,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE teams_notification_attempts (
    notification_id  uuid NOT NULL REFERENCES teams_notifications (id) ON DELETE CASCADE,
    attempt          integer NOT NULL CHECK (attempt > 0),
    started_at       timestamptz NOT NULL,
    duration_seconds double precision NOT NULL,
    status_code      integer,
    error            text,
    PRIMARY KEY (notification_id, started_at, attempt)
);

CREATE INDEX teams_notifications_correlation_id_idx ON teams_notifications (correlation_id);
CREATE INDEX teams_notifications_event_id_idx ON teams_notifications (event_id);
CREATE INDEX teams_notifications_sent_at_idx ON teams_notifications (sent_at DESC, event_type);
CREATE INDEX teams_notifications_failed_idx ON teams_notifications (status_code, sent_at DESC) WHERE status_code >= 400 OR status_code IS NULL;
CREATE INDEX teams_notifications_unacknowledged_idx ON teams_notifications (priority, sent_at) WHERE acknowledged_at IS NULL;

CREATE FUNCTION teams_notifications_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END
$$;

CREATE TRIGGER teams_notifications_updated_at BEFORE UPDATE ON teams_notifications
    FOR EACH ROW EXECUTE FUNCTION teams_notifications_touch();

CREATE VIEW teams_notifications_unacknowledged_critical AS
    SELECT * FROM teams_notifications
    WHERE priority = 'CRITICAL' AND acknowledged_at IS NULL
    ORDER BY sent_at;
