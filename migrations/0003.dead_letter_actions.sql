-- depends: 0002.digests
-- Each replay and discard of a dead letter: by whom, when and why; a discarded one is kept here.
CREATE TABLE teams_dead_letter_actions (
    stream          text NOT NULL,
    letter_id       text NOT NULL,                  -- the entry in the stream of dead letters
    action          text NOT NULL CHECK (action IN ('replay', 'discard')),
    who             text NOT NULL,
    why             text,
    at              timestamptz NOT NULL DEFAULT now(),
    reason          text NOT NULL,                  -- why it was dead
    detail          text,
    channel         text,
    event_type      text,
    event_id        text,
    correlation_id  text,
    notification_id text,
    edited          boolean NOT NULL DEFAULT false,
    letter          jsonb,                          -- patient data masked
    PRIMARY KEY (stream, letter_id, action)
);
CREATE INDEX teams_dead_letter_actions_at_idx ON teams_dead_letter_actions (at DESC);
CREATE INDEX teams_dead_letter_actions_correlation_id_idx ON teams_dead_letter_actions (correlation_id);
