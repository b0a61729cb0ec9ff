-- What of a request is for Buildbot, as JSON; none until it is let through.
ALTER TABLE requests ADD COLUMN builds TEXT;
