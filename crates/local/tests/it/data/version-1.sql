-- A data directory of version 1, as it was left by a server of that version.
BEGIN TRANSACTION;
CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    storage_type TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content_length INTEGER,
    details TEXT NOT NULL,
    present INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    blob TEXT,
    secret TEXT,
    file TEXT,
    encoding TEXT,
    UNIQUE (task, run, name)
);
INSERT INTO "artifacts" VALUES(1,1,0,'public/log','reference','text/plain',NULL,'{"url":"https://example.org/log"}',1,4917431137107,NULL,NULL,NULL,NULL);
CREATE TABLE clients (
    client_id TEXT PRIMARY KEY,
    access_token TEXT NOT NULL,
    description TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires INTEGER NOT NULL,
    created INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    last_date_used INTEGER NOT NULL,
    last_rotated INTEGER NOT NULL,
    delete_on_expiration INTEGER NOT NULL,
    disabled INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE definitions (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL
);
INSERT INTO "definitions" VALUES(1,'{"provisionerId":"lander","workerType":"linux","taskQueueId":"lander/linux","schedulerId":"lander-level-1","projectId":"none","taskGroupId":"KTBKfEgxR5GdfIIREQIvFQ","dependencies":[],"requires":"all-completed","routes":["index.lander.build"],"priority":"lowest","retries":5,"created":"2026-11-22T17:05:37.064Z","deadline":"2026-11-22T18:05:37.064Z","expires":"2126-10-29T17:05:37.064Z","scopes":[],"payload":{"command":[["true"]],"maxRunTime":60},"metadata":{"name":"build","description":"","owner":"ann@example.org","source":"https://example.org/lander"},"tags":{},"extra":{}}');
INSERT INTO "definitions" VALUES(2,'{"provisionerId":"lander","workerType":"linux","taskQueueId":"lander/linux","schedulerId":"lander-level-1","projectId":"none","taskGroupId":"KTBKfEgxR5GdfIIREQIvFQ","dependencies":["KTBKfEgxR5GdfIIREQIvFQ"],"requires":"all-completed","routes":[],"priority":"lowest","retries":5,"created":"2026-11-22T17:05:37.083Z","deadline":"2026-11-22T18:05:37.083Z","expires":"2126-10-29T17:05:37.083Z","scopes":[],"payload":{"command":[["true"]],"maxRunTime":60},"metadata":{"name":"build","description":"","owner":"ann@example.org","source":"https://example.org/lander"},"tags":{},"extra":{}}');
CREATE TABLE dependencies (
    dependency INTEGER NOT NULL,
    dependent INTEGER NOT NULL,
    satisfied INTEGER NOT NULL,
    PRIMARY KEY (dependency, dependent)
) WITHOUT ROWID;
INSERT INTO "dependencies" VALUES(1,2,1);
CREATE TABLE indexed_tasks (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    task_id TEXT NOT NULL,
    rank INTEGER NOT NULL,
    data TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
INSERT INTO "indexed_tasks" VALUES('lander','build','KTBKfEgxR5GdfIIREQIvFQ',0,'{}',4948967137064);
CREATE TABLE namespaces (
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (parent, name)
) WITHOUT ROWID;
INSERT INTO "namespaces" VALUES('','lander',4948992000000);
CREATE TABLE roles (
    role_id TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_modified INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "roles" VALUES('anonymous','What everybody may do, without credentials too.','["auth:current-scopes","auth:expand-scopes","auth:get-client:*","auth:get-role:*","auth:list-clients","auth:list-roles","index:find-task:*","index:list-namespaces:*","index:list-tasks:*","queue:get-artifact:public/*","queue:get-task:*","queue:list-artifacts:*","queue:list-dependent-tasks:*","queue:list-task-group:*","queue:list-task-queues","queue:pending-count:*","queue:status:*"]',1795367135000,1795367135000);
INSERT INTO "roles" VALUES('lander','','["queue:status:*"]',1795367137131,1795367137131);
CREATE TABLE task_groups (
    id INTEGER PRIMARY KEY,
    group_id TEXT NOT NULL UNIQUE,
    scheduler_id TEXT NOT NULL,
    expires INTEGER NOT NULL,
    sealed INTEGER
);
INSERT INTO "task_groups" VALUES(1,'KTBKfEgxR5GdfIIREQIvFQ','lander-level-1',4948970737064,NULL);
CREATE TABLE task_queues (
    task_queue_id TEXT PRIMARY KEY,
    expires INTEGER NOT NULL,
    last_active INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "task_queues" VALUES('lander/linux',1795453537097,1795367137097);
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL UNIQUE,
    group_row INTEGER NOT NULL,
    task_queue_id TEXT NOT NULL,
    scheduler_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    priority INTEGER NOT NULL,
    requires_resolved INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    retries_left INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    state INTEGER NOT NULL,
    since INTEGER NOT NULL,
    taken_until INTEGER,
    waiting INTEGER NOT NULL,
    runs TEXT NOT NULL
);
INSERT INTO "tasks" VALUES(1,'KTBKfEgxR5GdfIIREQIvFQ',1,'lander/linux','lander-level-1','none',0,0,5,5,1795370737064,4948967137064,3,1795367137116,NULL,0,'[{"runId":0,"state":"completed","reasonCreated":"scheduled","reasonResolved":"completed","workerGroup":"g","workerId":"w","takenUntil":"2026-11-22T17:25:37.097Z","scheduled":"2026-11-22T17:05:37.076Z","started":"2026-11-22T17:05:37.097Z","resolved":"2026-11-22T17:05:37.116Z"}]');
INSERT INTO "tasks" VALUES(2,'AWMGHageQ7-UPVw8HOPh2A',1,'lander/linux','lander-level-1','none',0,0,5,5,1795370737083,4948967137083,1,1795367137116,NULL,0,'[{"runId":0,"state":"pending","reasonCreated":"scheduled","scheduled":"2026-11-22T17:05:37.116Z"}]');
CREATE TABLE workers (
    task_queue_id TEXT NOT NULL,
    worker_group TEXT NOT NULL,
    worker_id TEXT NOT NULL,
    first_claim INTEGER NOT NULL,
    last_active INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    recent TEXT NOT NULL,
    quarantine_until INTEGER NOT NULL,
    PRIMARY KEY (task_queue_id, worker_group, worker_id)
) WITHOUT ROWID;
INSERT INTO "workers" VALUES('lander/linux','g','w',1795367137097,1795367137097,1795453537097,'[{"taskId":"KTBKfEgxR5GdfIIREQIvFQ","runId":0}]',1479834337097);
CREATE INDEX task_groups_by_expiry ON task_groups (expires);
CREATE INDEX tasks_by_group ON tasks (group_row);
CREATE INDEX tasks_by_expiry ON tasks (expires);
CREATE INDEX tasks_pending ON tasks (task_queue_id, priority DESC, since) WHERE state = 1;
CREATE INDEX tasks_running ON tasks (task_queue_id, since) WHERE state = 2;
CREATE INDEX tasks_by_claim ON tasks (taken_until) WHERE state = 2;
CREATE INDEX tasks_by_deadline ON tasks (deadline) WHERE state < 3;
CREATE INDEX artifacts_by_expiry ON artifacts (expires);
CREATE UNIQUE INDEX artifacts_by_blob ON artifacts (blob) WHERE blob IS NOT NULL;
CREATE INDEX indexed_tasks_by_expiry ON indexed_tasks (expires);
CREATE INDEX namespaces_by_expiry ON namespaces (expires);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tasks',2);
COMMIT;
