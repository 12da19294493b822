-- A role a service, with rights on the rows of its own schema and on nothing else. The image of PostgreSQL runs this once, when it
-- makes the database; run again by hand, it sets the passwords anew:
--   docker compose exec postgres psql -U waypost waypost -f /docker-entrypoint-initdb.d/roles.sql
-- Who runs it owns the tables, as `waypost migrate` does: a table that a later migration makes is open to its service at once.
-- The roles are called as the schemas are (crates/common/src/database/location.rs).
\set ON_ERROR_STOP on
\getenv user_api USER_API_DATABASE_PASSWORD
\getenv email_worker EMAIL_WORKER_DATABASE_PASSWORD
\getenv notification_gateway NOTIFICATION_GATEWAY_DATABASE_PASSWORD

BEGIN;

-- PUBLIC may do so by default, and each role is in PUBLIC.
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY['user_api', 'email_worker', 'notification_gateway']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE user_api LOGIN PASSWORD :'user_api';
ALTER ROLE email_worker LOGIN PASSWORD :'email_worker';
ALTER ROLE notification_gateway LOGIN PASSWORD :'notification_gateway';

SELECT statement
FROM unnest(ARRAY['user_api', 'email_worker', 'notification_gateway']) AS name,
  unnest(ARRAY[
    format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name),
    format('CREATE SCHEMA IF NOT EXISTS %I', name),
    format('GRANT USAGE ON SCHEMA %I TO %I', name, name),
    format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', name, name),
    format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %I', name, name),
    format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', name, name),
    format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE ON SEQUENCES TO %I', name, name)
  ]) WITH ORDINALITY AS made(statement, place)
ORDER BY name, place
\gexec

COMMIT;
