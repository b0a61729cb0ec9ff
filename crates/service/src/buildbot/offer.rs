//! What masters can be asked for now.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use taskgraft_client::{Cause, Error as SiteError};
use tracing::Instrument as _;

use super::master::Known;
use super::{Builders, Error, Master};

/// How long a master is waited for that has not said lately what it has.
const PATIENCE: Duration = Duration::from_secs(3);

/// What each master can be asked for now. One that takes longer than some seconds counts as one that doesn't answer, for
/// who asks next too; what it says is there for later.
pub async fn offers(masters: &[Arc<Master>]) -> Vec<Builders> {
    future::join_all(masters.iter().map(offer)).await
}

async fn offer(master: &Arc<Master>) -> Builders {
    let said = match master.remembered() {
        Some(said) => said,
        None => ask(master).await,
    };
    match said {
        Ok(known) => Builders::Named(known.forceable.iter().cloned().collect()),
        Err(_) => Builders::Silent(master.patterns.clone()),
    }
}

async fn ask(master: &Arc<Master>) -> Result<Arc<Known>, Error> {
    master.outage.check(master.config.clock.now())?;
    let asking = Arc::clone(master);
    let asking = async move {
        let known = asking.known().await;
        asking.outage.learn(asking.config.clock.now(), &known);
        known
    };
    // It goes on when nobody waits for it any more; what is logged of it is about the request that it is asked for.
    let asking = tokio::spawn(asking.in_current_span());
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(known)) => known,
        Ok(Err(_)) | Err(_) => {
            let (last, elapsed) = (Cause::Timeout, PATIENCE);
            let silent = Err(Error::Site(SiteError::Transient { call: "builders", last, tries: 1, elapsed }));
            master.outage.learn(master.config.clock.now(), &silent);
            silent
        }
    }
}
