ALTER TABLE teams_actions DROP COLUMN IF EXISTS escalated;
-- Rows of a later version stay; earlier versions do not read them.
ALTER TABLE teams_actions ADD CONSTRAINT teams_actions_action_check
    CHECK (action IN ('acknowledge', 'escalate', 'retry_task', 'discard_task', 'poll_nphies')) NOT VALID;
ALTER TABLE teams_actions ADD CONSTRAINT teams_actions_via_check
    CHECK (via IN ('page', 'sign_on', 'callback', 'outgoing_webhook')) NOT VALID;
