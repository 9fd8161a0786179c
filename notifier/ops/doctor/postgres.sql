-- name: server
SELECT current_setting('server_version_num')::integer AS version,
    pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS read_only;

-- name: lacking
-- The wanted rights that this user lacks on existing tables; a name without a schema is looked up as the program does it.
SELECT wanted.name, wanted.privilege
FROM jsonb_to_recordset(%(wanted)s::jsonb) AS wanted (name text, privilege text)
WHERE to_regclass(wanted.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(wanted.name), wanted.privilege)
ORDER BY 1, 2;
