-- By what a message that comes again is recognised, and when it last came, if that was more than once.
ALTER TABLE letters ADD COLUMN hash TEXT;
ALTER TABLE letters ADD COLUMN seen INTEGER;
CREATE INDEX letters_by_hash ON letters (hash);
-- When nothing of an exchange was on its way and the connection to its broker stood. `authority`: as its requests have it.
CREATE TABLE links (authority TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX links_of_exchange ON links (authority, at);
