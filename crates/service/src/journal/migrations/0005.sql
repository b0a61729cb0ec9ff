-- How often a request was cancelled before it was tried again.
ALTER TABLE requests ADD COLUMN undone INTEGER NOT NULL DEFAULT 0;
UPDATE requests SET undone = (SELECT count(*) FROM steps WHERE steps.request = n AND what = 'cancel_asked') WHERE retries > 0;
