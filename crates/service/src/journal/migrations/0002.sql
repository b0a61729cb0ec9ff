-- When a message that is known by what it says alone last came, if it came more than once.
ALTER TABLE requests ADD COLUMN seen INTEGER;
CREATE INDEX requests_of_exchange ON requests (authority, coalesce(seen, received)) WHERE door = 'pulse';
