//! The environment of a task's processes: small, and without anything of the worker's own.

use std::collections::BTreeMap;
use std::path::Path;

use taskgraft_core::api::queue::Claimed;

use super::strays::DIRECTORY_VARIABLE;

/// What a payload may override.
pub(crate) fn defaults(search_path: &str, directory: &Path, temporary: &Path) -> BTreeMap<String, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    BTreeMap::from([
        ("HOME".to_owned(), text(directory)),
        ("PATH".to_owned(), search_path.to_owned()),
        ("TMPDIR".to_owned(), text(temporary)),
    ])
}

/// What a payload may not override. `directory` is the task's, where there is one on this machine.
pub(crate) fn fixed(
    claimed: &Claimed,
    root_url: &str,
    directory: Option<&Path>,
    proxy_url: Option<&str>,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([
        ("RUN_ID".to_owned(), claimed.run_id.to_string()),
        ("TASKCLUSTER_ROOT_URL".to_owned(), root_url.to_owned()),
        ("TASKCLUSTER_WORKER_GROUP".to_owned(), claimed.worker_group.clone()),
        ("TASK_GROUP_ID".to_owned(), claimed.status.task_group_id.to_string()),
        ("TASK_ID".to_owned(), claimed.status.task_id.to_string()),
    ]);
    if let Some(directory) = directory {
        env.insert(DIRECTORY_VARIABLE.to_owned(), directory.to_string_lossy().into_owned());
    }
    if let Some(url) = proxy_url {
        env.insert("TASKCLUSTER_PROXY_URL".to_owned(), url.to_owned());
    }
    env
}
