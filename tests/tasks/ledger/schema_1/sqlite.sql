-- The tables of schema 1 on SQLite, as that version made them.
CREATE TABLE dewar_deliveries ( id TEXT NOT NULL, job_id TEXT NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL, created DOUBLE NOT NULL, due DOUBLE NOT NULL, attempts INTEGER NOT NULL, state TEXT NOT NULL, owner TEXT, lease_until DOUBLE, last_status INTEGER, last_error TEXT, PRIMARY KEY (id) );
CREATE INDEX dewar_deliveries_of_job ON dewar_deliveries (job_id);
CREATE INDEX dewar_deliveries_pending ON dewar_deliveries (due) WHERE state = 'pending';
CREATE TABLE dewar_disabled_urls ( url TEXT NOT NULL, since DOUBLE NOT NULL, PRIMARY KEY (url) );
CREATE TABLE dewar_jobs ( id TEXT NOT NULL, task TEXT NOT NULL, state TEXT NOT NULL, arguments TEXT NOT NULL, context TEXT, owner TEXT, attempts INTEGER NOT NULL, idempotent INTEGER NOT NULL, stop_requested INTEGER NOT NULL, created DOUBLE NOT NULL, due DOUBLE NOT NULL, started DOUBLE, finished DOUBLE, fraction DOUBLE, message TEXT, result TEXT, error TEXT, callback TEXT, PRIMARY KEY (id) );
CREATE INDEX dewar_jobs_active ON dewar_jobs (owner) WHERE finished IS NULL;
CREATE INDEX dewar_jobs_ended_badly ON dewar_jobs (state, id) WHERE state IN ('cancelled', 'failed', 'lost');
CREATE INDEX dewar_jobs_queued ON dewar_jobs (task, due) WHERE state = 'queued';
CREATE INDEX dewar_jobs_stopping ON dewar_jobs (owner) WHERE stop_requested = 1;
CREATE INDEX dewar_jobs_waiting ON dewar_jobs (due, id, task) WHERE state = 'queued' AND owner IS NULL;
CREATE TABLE dewar_meta ( name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name) );
CREATE TABLE dewar_owners ( id TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, started DOUBLE NOT NULL, lease_until DOUBLE NOT NULL, PRIMARY KEY (id) );
