-- name: lock
-- Of the session: it ends with the process that holds it. Asked for again and again, since a statement that waits would delay CREATE INDEX CONCURRENTLY.
SELECT pg_try_advisory_lock(7236271640235118);

-- name: holder
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND granted AND (classid::bigint << 32) + objid::bigint = 7236271640235118;

-- name: rights
-- The user, the schema of new tables, whether it may make them, and the owner of existing tables if it is another.
SELECT quote_ident(current_user) AS user_name, quote_ident(current_schema()) AS schema,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create, current_setting('search_path') AS search_path, (
        SELECT min(quote_ident(pg_get_userbyid(relowner))) FROM pg_class
        WHERE oid = ANY(ARRAY(SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name)::oid[]) AND NOT pg_has_role(relowner, 'USAGE')
    ) AS other_owner;

-- name: noted
SELECT to_regclass('_yoyo_migration') IS NOT NULL;

-- name: applied
SELECT migration_id, applied_at_utc FROM _yoyo_migration;

-- name: has_old_lock
SELECT has_table_privilege(to_regclass('yoyo_lock'), 'DELETE');

-- name: break_old_lock
-- Left by a process of an older version that was killed; whoever holds the lock above is alone.
DELETE FROM yoyo_lock;

-- name: database
SELECT FROM pg_database WHERE datname = %(name)s;
