-- Hooks. Moments are milliseconds since 1970, UTC.

-- `metadata`, `bindings`, `schedule`, `task` and `trigger_schema`: JSON as on the wire. `token` triggers the hook
-- without credentials. `seed` goes into the ids of scheduled tasks, so that nobody can guess and take them.
-- `next_fire`: when the schedule fires the hook next; NULL without a schedule.
CREATE TABLE hooks (
    group_id TEXT NOT NULL,
    hook_id TEXT NOT NULL,
    metadata TEXT NOT NULL,
    bindings TEXT NOT NULL,
    schedule TEXT NOT NULL,
    task TEXT NOT NULL,
    trigger_schema TEXT NOT NULL,
    token TEXT NOT NULL,
    seed TEXT NOT NULL,
    next_fire INTEGER,
    PRIMARY KEY (group_id, hook_id)
) WITHOUT ROWID;
CREATE INDEX hooks_by_next_fire ON hooks (next_fire) WHERE next_fire IS NOT NULL;

-- `error`: empty where the task was made.
CREATE TABLE hook_fires (
    id INTEGER PRIMARY KEY,
    group_id TEXT NOT NULL,
    hook_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    fired_by TEXT NOT NULL,
    fired INTEGER NOT NULL,
    error TEXT NOT NULL,
    UNIQUE (group_id, hook_id, task_id)
);
CREATE INDEX hook_fires_by_time ON hook_fires (fired);

-- Everybody may look at hooks too, unless somebody has decided what everybody may do.
UPDATE roles
SET scopes =
    '["auth:current-scopes","auth:expand-scopes","auth:get-client:*","auth:get-role:*","auth:list-clients",'
    || '"auth:list-roles","hooks:get:*","hooks:list-hooks:*","hooks:list-last-fires:*","hooks:status:*",'
    || '"index:find-task:*","index:list-namespaces:*","index:list-tasks:*",'
    || '"queue:get-artifact:public/*","queue:get-task:*","queue:list-artifacts:*","queue:list-dependent-tasks:*",'
    || '"queue:list-task-group:*","queue:list-task-queues","queue:pending-count:*","queue:status:*"]'
WHERE role_id = 'anonymous' AND scopes =
    '["auth:current-scopes","auth:expand-scopes","auth:get-client:*","auth:get-role:*","auth:list-clients",'
    || '"auth:list-roles","index:find-task:*","index:list-namespaces:*","index:list-tasks:*",'
    || '"queue:get-artifact:public/*","queue:get-task:*","queue:list-artifacts:*","queue:list-dependent-tasks:*",'
    || '"queue:list-task-group:*","queue:list-task-queues","queue:pending-count:*","queue:status:*"]';
