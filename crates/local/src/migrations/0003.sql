-- Messages of the queue's exchanges that a broker has not confirmed yet, in their order. `routes`: JSON, a list.
-- Numbers are never used again: whoever has published all up to one deletes those.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    routes TEXT NOT NULL,
    body TEXT NOT NULL
);

-- Whether a group has a task that is not resolved.
CREATE INDEX tasks_unresolved ON tasks (group_row) WHERE state < 3;
