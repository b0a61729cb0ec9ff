-- Moments are milliseconds since 1970, UTC. Ids that join tables are row ids; what the wire calls a task is `task_id`.

-- The queue.

CREATE TABLE task_groups (
    id INTEGER PRIMARY KEY,
    group_id TEXT NOT NULL UNIQUE,
    scheduler_id TEXT NOT NULL,
    expires INTEGER NOT NULL,
    sealed INTEGER
);
CREATE INDEX task_groups_by_expiry ON task_groups (expires);

-- What changes of a task. `state`: 0 unscheduled, 1 pending, 2 running, 3 completed, 4 failed, 5 exception.
-- Row ids are never used again: other tables may name a task that is gone until what they say of it goes too.
-- `waiting`: how many dependencies are not satisfied; -1 until the dependencies are tracked at all.
-- `priority`: 0 lowest to 6 highest. `since`: when it entered its state. `runs`: as on the wire.
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
CREATE INDEX tasks_by_group ON tasks (group_row);
CREATE INDEX tasks_by_expiry ON tasks (expires);
CREATE INDEX tasks_pending ON tasks (task_queue_id, priority DESC, since) WHERE state = 1;
CREATE INDEX tasks_running ON tasks (task_queue_id, since) WHERE state = 2;
CREATE INDEX tasks_by_claim ON tasks (taken_until) WHERE state = 2;
CREATE INDEX tasks_by_deadline ON tasks (deadline) WHERE state < 3;

-- What does not change of a task but for its priority: the definition as on the wire.
CREATE TABLE definitions (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE dependencies (
    dependency INTEGER NOT NULL,
    dependent INTEGER NOT NULL,
    satisfied INTEGER NOT NULL,
    PRIMARY KEY (dependency, dependent)
) WITHOUT ROWID;

-- `details`: what only one storage type has (JSON). `present`: whether readers may see it.
-- Bytes that were put to us: `blob` and `secret` make the URLs, `file` is where they are once they came.
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
CREATE INDEX artifacts_by_expiry ON artifacts (expires);
CREATE UNIQUE INDEX artifacts_by_blob ON artifacts (blob) WHERE blob IS NOT NULL;

CREATE TABLE task_queues (
    task_queue_id TEXT PRIMARY KEY,
    expires INTEGER NOT NULL,
    last_active INTEGER NOT NULL
) WITHOUT ROWID;

-- `recent`: JSON, the last tasks claimed as [{taskId, runId}], oldest first.
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

-- Auth. The root client is not here: it is drawn at first start and kept in a file of its own.

-- `scopes`: JSON list, sorted. `access_token` is the key of the client's signatures, which is why the whole file is
-- readable by its owner only.
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

CREATE TABLE roles (
    role_id TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_modified INTEGER NOT NULL
) WITHOUT ROWID;

-- What everybody may do, without credentials too: look, as on a public deployment.
INSERT INTO roles VALUES (
    'anonymous',
    'What everybody may do, without credentials too.',
    '["auth:current-scopes","auth:expand-scopes","auth:get-client:*","auth:get-role:*","auth:list-clients",'
    || '"auth:list-roles","index:find-task:*","index:list-namespaces:*","index:list-tasks:*",'
    || '"queue:get-artifact:public/*","queue:get-task:*","queue:list-artifacts:*","queue:list-dependent-tasks:*",'
    || '"queue:list-task-group:*","queue:list-task-queues","queue:pending-count:*","queue:status:*"]',
    unixepoch() * 1000,
    unixepoch() * 1000
);

-- The index.

-- The index path is `<namespace>.<name>`, or `<name>` where the namespace is empty.
CREATE TABLE indexed_tasks (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    task_id TEXT NOT NULL,
    rank INTEGER NOT NULL,
    data TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
CREATE INDEX indexed_tasks_by_expiry ON indexed_tasks (expires);

CREATE TABLE namespaces (
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (parent, name)
) WITHOUT ROWID;
CREATE INDEX namespaces_by_expiry ON namespaces (expires);
