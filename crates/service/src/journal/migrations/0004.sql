-- What a request names its push by: a task's id, or PROJECT@REVISION; none where that is a number of Treeherder's.
ALTER TABLE requests ADD COLUMN push TEXT GENERATED ALWAYS AS (
    coalesce(
        asked ->> '$.push.decision',
        asked ->> '$.push.of_task',
        (asked ->> '$.push.revision.project') || '@' || lower(asked ->> '$.push.revision.revision')
    )
) VIRTUAL;
CREATE INDEX requests_by_push ON requests (push) WHERE push IS NOT NULL;
CREATE INDEX requests_by_decision ON requests (decision) WHERE decision IS NOT NULL;
