//! Starts an embedded Taskcluster in a directory and prints what its clients need.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use taskgraft_local::{Config, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("the data directory is missing")?;
    let running = Server::start(Config::new(dir)).await?;
    println!("export TASKCLUSTER_ROOT_URL={}", running.root_url());
    println!("export TASKCLUSTER_CLIENT_ID={}", running.credentials().client_id);
    println!("export TASKCLUSTER_ACCESS_TOKEN={}", running.credentials().access_token);
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}
