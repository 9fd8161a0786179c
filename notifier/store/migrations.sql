-- name: lock
-- Of the session: it ends with the process that holds it. Asked for again and again, since a statement that waits would hold up CREATE INDEX CONCURRENTLY.
SELECT pg_try_advisory_lock(7236271640235118);

-- name: holder
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND granted AND (classid::bigint << 32) + objid::bigint = 7236271640235118;

-- name: rights
-- Who we are, where tables would go, whether that is allowed, and who owns those of ours that are there and not ours.
SELECT quote_ident(current_user), quote_ident(current_schema()), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
    current_setting('search_path'), (
        SELECT min(quote_ident(pg_get_userbyid(relowner))) FROM pg_class
        WHERE oid = ANY(ARRAY(SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name)::oid[]) AND NOT pg_has_role(relowner, 'USAGE')
    );

-- name: noted
SELECT to_regclass('_yoyo_migration') IS NOT NULL;

-- name: applied
SELECT migration_id, applied_at_utc FROM _yoyo_migration;

-- name: book
-- The tables of yoyo-migrations, which older versions use; they find there what they need.
CREATE TABLE IF NOT EXISTS _yoyo_migration (migration_hash varchar(64) PRIMARY KEY, migration_id varchar(255), applied_at_utc timestamp);
CREATE TABLE IF NOT EXISTS _yoyo_log (
    id varchar(36) PRIMARY KEY, migration_hash varchar(64), migration_id varchar(255), operation varchar(10),
    username varchar(255), hostname varchar(255), comment varchar(255), created_at_utc timestamp
);
CREATE TABLE IF NOT EXISTS _yoyo_version (version integer PRIMARY KEY, installed_at_utc timestamp);
INSERT INTO _yoyo_version VALUES (2, now() AT TIME ZONE 'UTC') ON CONFLICT DO NOTHING;

-- name: mark
INSERT INTO _yoyo_migration VALUES (encode(sha256(convert_to(%(id)s, 'UTF8')), 'hex'), %(id)s, now() AT TIME ZONE 'UTC');

-- name: unmark
DELETE FROM _yoyo_migration WHERE migration_id = %(id)s;

-- name: has_old_lock
SELECT has_table_privilege(to_regclass('yoyo_lock'), 'DELETE');

-- name: break_old_lock
-- Left by a process of an older version that was killed; whoever holds the lock above is alone.
DELETE FROM yoyo_lock;
