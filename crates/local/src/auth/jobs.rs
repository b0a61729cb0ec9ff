//! What auth does without anybody asking.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::params;

use super::clients::change;
use crate::Ctx;
use crate::http::ApiError;

/// Stores when clients were last used, and deletes those that expired and asked for it.
pub(crate) async fn tidy(ctx: &Arc<Ctx>) -> Result<(), ApiError> {
    let directory = ctx.auth.directory();
    let now = ctx.now().as_millisecond();
    change(ctx, move |tx| {
        let mut used =
            tx.prepare_cached("UPDATE clients SET last_date_used = ?2 WHERE client_id = ?1 AND last_date_used < ?2")?;
        for client in directory.clients().values() {
            used.execute(params![client.client_id, client.last_date_used.load(Ordering::Relaxed)])?;
        }
        tx.prepare_cached("DELETE FROM clients WHERE delete_on_expiration AND expires < ?1")?.execute([now])?;
        Ok(())
    })
    .await
}
