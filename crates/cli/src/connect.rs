//! From the environment to a Taskcluster client.

use taskgraft_client::{Client, Config};
use taskgraft_core::ids::derive::BodyHash;
use taskgraft_engine::{Artifacts, Cache, Lookups};

use crate::env::Env;
use crate::exit::{Failure, Kind, NOTHING};

/// Where artifact references of an offline plan point if nobody says which deployment is meant.
pub(crate) const NOWHERE: &str = "https://taskcluster.invalid";

/// How many hexadecimal digits of its root URL's hash tell a deployment.
const DEPLOYMENT_DIGITS: usize = 16;

/// A client of the deployment that the environment names; anonymous if it has no credentials, which is enough to read.
pub(crate) fn reader(env: &Env) -> Result<Client, Failure> {
    let root_url = env.root_url.clone().or_else(|| env.proxy_url.clone()).ok_or_else(|| {
        Failure::mistake("which Taskcluster? TASKCLUSTER_ROOT_URL is not set")
            .note("on this machine", "taskgraft up --env-file tc.env, then: . ./tc.env")
            .note("a deployment", "export TASKCLUSTER_ROOT_URL=https://tc.example.com")
    })?;
    let config =
        Config { proxy_url: env.proxy_url.clone(), credentials: env.credentials.clone(), ..Config::new(root_url) };
    Client::new(config).map_err(|why| Failure::mistake(format!("failed to {why}")))
}

/// The same for what changes something: it needs credentials, or a proxy that has some.
pub(crate) fn writer(env: &Env) -> Result<Client, Failure> {
    let client = reader(env)?;
    if env.credentials.is_none() && env.proxy_url.is_none() {
        return Err(Failure::new(Kind::NoRights, "creating tasks needs Taskcluster credentials, and there are none")
            .note("on this machine", "taskgraft up --env-file tc.env, then: . ./tc.env")
            .note("a deployment", "eval \"$(taskcluster signin)\"")
            .note("or by hand", "export TASKCLUSTER_CLIENT_ID=… TASKCLUSTER_ACCESS_TOKEN=…")
            .closing(NOTHING));
    }
    Ok(client)
}

/// The same for a worker, which signs for itself: it acts for many tasks, with the credentials of each.
pub(crate) fn worker(env: &Env) -> Result<Client, Failure> {
    let env =
        Env { proxy_url: None, root_url: env.root_url.clone(), credentials: env.credentials.clone(), ..Env::default() };
    if env.credentials.is_none() {
        return Err(Failure::new(Kind::NoRights, "claiming tasks needs Taskcluster credentials, and there are none")
            .note("set", "TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN"));
    }
    reader(&env)
}

/// Whose credentials requests are made with, in words.
pub(crate) fn who(env: &Env) -> String {
    match (&env.proxy_url, &env.credentials) {
        (Some(_), _) => "the proxy's".to_owned(),
        (None, Some(credentials)) => format!("client `{}`", credentials.client_id),
        (None, None) => "none".to_owned(),
    }
}

/// Where downloads are kept.
pub(crate) fn cache(env: &Env) -> Result<Cache, Failure> {
    let dir = env.cache_dir.as_deref().ok_or_else(no_cache)?;
    Cache::open(&dir.join("artifacts").join(deployment(env)))
        .map_err(|why| Failure::other(format!("failed to make {}: {why}", dir.display())))
}

/// There is nowhere to keep downloads.
pub(crate) fn no_cache() -> Failure {
    Failure::mistake("no directory to keep downloads in").note("set one", "HOME or XDG_CACHE_HOME")
}

/// The name of the directory for what is downloaded from the deployment that the environment names: two of them may well
/// have tasks with the same id.
pub(crate) fn deployment(env: &Env) -> String {
    let root_url = env.root_url.as_deref().or(env.proxy_url.as_deref()).unwrap_or(NOWHERE);
    let mut name = BodyHash::of(root_url.trim_end_matches('/').as_bytes()).to_string();
    name.truncate(DEPLOYMENT_DIGITS);
    name
}

/// Where artifacts are read from, and kept once they can't change any more.
pub(crate) fn artifacts(client: &Client, env: &Env) -> Result<Artifacts, Failure> {
    Ok(Artifacts::Queue(client.clone(), cache(env)?))
}

/// Nobody is asked: whatever would be looked up counts as not found.
pub(crate) fn offline(env: &Env) -> Lookups {
    let root_url = env.root_url.clone().unwrap_or_else(|| NOWHERE.to_owned());
    Lookups::Offline { root_url, now: jiff::Timestamp::now() }
}

/// What Taskcluster refused or left undone.
impl From<taskgraft_client::Error> for Failure {
    fn from(error: taskgraft_client::Error) -> Self {
        use taskgraft_client::{Cause, Error};
        let kind = match &error {
            Error::Rejected { status: 401 | 403, .. } => Kind::NoRights,
            Error::Rejected { status: 404, .. } => Kind::Mistake,
            Error::Transient { .. }
            | Error::Conflict { .. }
            | Error::Rejected { .. }
            | Error::ClockSkew { .. }
            | Error::Unreadable { .. }
            | Error::Unsendable { .. } => Kind::Other,
        };
        let failure = Self::new(kind, format!("failed to {error}"));
        match &error {
            Error::Rejected { status: 401, .. } => failure
                .note(
                    "check",
                    "TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN and, if temporary, TASKCLUSTER_CERTIFICATE",
                )
                .note("or read only", "unset them: public pushes can be looked at without"),
            Error::Transient { last: Cause::Connect(_), .. } => {
                failure.note("check", "TASKCLUSTER_ROOT_URL and TASKCLUSTER_PROXY_URL, and whether it is up")
            }
            Error::Transient { .. }
            | Error::Conflict { .. }
            | Error::Rejected { .. }
            | Error::ClockSkew { .. }
            | Error::Unreadable { .. }
            | Error::Unsendable { .. } => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_of_two_deployments_are_kept_apart() {
        let dir = |root_url: &str| deployment(&Env { root_url: Some(root_url.to_owned()), ..Env::default() });
        let one = dir("https://tc.example.com");
        assert_ne!(one, dir("https://staging.tc.example.com"));
        assert_eq!(one, dir("https://tc.example.com/"));
        assert!(one.len() == DEPLOYMENT_DIGITS && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    }
}
