#!/bin/sh
# What the decision task of a push runs: packs the sources, then makes and creates the graph.
set -eu
mkdir -p artifacts
git archive --format tar.gz --output artifacts/lander-source.tar.gz HEAD
exec taskgraph decision \
    --project lander --level 3 --tasks-for github-push --repository-type git \
    --base-repository "$LANDER_REPOSITORY" --base-ref "$LANDER_BRANCH" --base-rev "$LANDER_BASE_REVISION" \
    --head-repository "$LANDER_REPOSITORY" --head-ref "$LANDER_BRANCH" --head-rev "$LANDER_REVISION" \
    --head-tag "" --pushlog-id "$LANDER_PUSH_ID" --pushdate 0 --owner "$LANDER_OWNER"
