//! Data of every older version is taken over: one stored file per version that ever wrote data.

use std::path::Path;

use rusqlite::Connection;
use taskgraft_client::{Client, Config as ClientConfig, Credentials};
use taskgraft_core::state::TaskState;
use taskgraft_local::{Config, Server};

/// Version, and what a server of that version left behind.
const VERSIONS: [(i64, &str); 1] = [(1, include_str!("data/version-1.sql"))];

/// Everything that the tables are made of.
fn tables(file: &Path) -> Vec<(String, String)> {
    let connection = Connection::open(file).unwrap();
    let mut statement =
        connection.prepare("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn data_of_every_version_is_taken_over() {
    for (version, content) in VERSIONS {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("taskgraft.db");
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch(content).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);

        let server = Server::start(Config::new(directory.path())).await.unwrap();
        let root = server.credentials();
        let credentials = Credentials::new(&root.client_id, &root.access_token);
        let client = Client::new(ClientConfig::new(server.root_url()).with_credentials(credentials)).unwrap();
        let id = client.index().find_task("lander.build").await.unwrap().task_id;
        assert_eq!(client.queue().status(id).await.unwrap().state, TaskState::Completed);
        assert_eq!(client.queue().task(id).await.unwrap().metadata.name, "build");
        assert_eq!(client.queue().list_dependent_tasks(id).await.unwrap().len(), 1);
        let log = client.queue().artifact(id, None, "public/log").await.unwrap();
        assert_eq!(log.url, "https://example.org/log");
        assert_eq!(client.auth().role("lander").await.unwrap().scopes, ["queue:status:*"]);
        let everybody = client.auth().role("anonymous").await.unwrap().scopes;
        assert!(everybody.contains(&"hooks:get:*".to_owned()), "{everybody:?}");
        server.stop().await;

        let fresh = tempfile::tempdir().unwrap();
        Server::start(Config::new(fresh.path())).await.unwrap().stop().await;
        assert_eq!(tables(&file), tables(&fresh.path().join("taskgraft.db")), "from version {version}");
    }
}
