//! Taskcluster over HTTP: typed calls, Hawk, one place that retries.
