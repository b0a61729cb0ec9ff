-- Moments are milliseconds since 1970, UTC. Numbers given out by AUTOINCREMENT are never given out again.

CREATE TABLE requests (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    door TEXT NOT NULL,
    asker TEXT NOT NULL,
    authority TEXT NOT NULL,
    asked TEXT NOT NULL,
    project TEXT,
    state TEXT NOT NULL,
    decision TEXT,
    action_task TEXT,
    error TEXT,
    with_dependencies INTEGER NOT NULL DEFAULT 0,
    received INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    retries INTEGER NOT NULL DEFAULT 0,
    lines INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX requests_by_key ON requests (key);
CREATE INDEX requests_unfinished ON requests (n) WHERE state IN ('received', 'ready', 'asked', 'cancelling');
CREATE INDEX requests_finished ON requests (changed) WHERE state NOT IN ('received', 'ready', 'asked', 'cancelling');

-- What is large of a request, so that the rows that change often stay small.
CREATE TABLE outcomes (
    request INTEGER PRIMARY KEY,
    plan TEXT,
    report TEXT
);

-- Everything that happened to requests. `what`: `received`, `facts`, or an event; `state`: the state from then on.
CREATE TABLE steps (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    request INTEGER NOT NULL,
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX steps_of_request ON steps (request);

-- What was logged about a request.
CREATE TABLE lines (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    request INTEGER NOT NULL,
    at INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX lines_of_request ON lines (request);

-- Messages that nobody understood. `size`: of the whole body in bytes. `became`: the request that it turned out to be.
CREATE TABLE letters (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    message_id TEXT,
    reason TEXT NOT NULL,
    body BLOB NOT NULL,
    size INTEGER NOT NULL,
    became TEXT
);

-- Which of them somebody wants tried again.
CREATE TABLE wishes (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    letter INTEGER NOT NULL UNIQUE
);

-- Outlives the requests it speaks of, and so names them by their ids.
CREATE TABLE audit (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    why TEXT NOT NULL,
    outcome TEXT NOT NULL,
    door TEXT,
    request TEXT
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_of_request ON audit (request) WHERE request IS NOT NULL;
