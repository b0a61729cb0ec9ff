//! Messages on their way to a broker: written down with the change that they tell of, and deleted when the broker has
//! confirmed them. So each is published at least once, whatever ends when.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Transaction, params};
use taskgraft_client::pulse::{Broker, Outgoing, Topology};
use taskgraft_core::ids::TaskId;
use taskgraft_store::StoreError;

use super::messages::{EXCHANGES, Message, PREFIX};
use super::task::parsed;
use crate::Ctx;

/// How many messages wait for the broker at most.
const MOST: i64 = 200_000;

/// How many go at once, the oldest first, when there would be more.
const DROPPED: i64 = MOST / 10;

/// How many messages are published at once.
const BATCH: u32 = 256;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Writes messages down.
pub(super) fn keep(tx: &Transaction<'_>, messages: &[Arc<Message>]) -> Result<(), StoreError> {
    for message in messages {
        let id = TaskId::from_bytes(rand::random());
        let routes = parsed(4, serde_json::to_string(&message.routes))?;
        tx.prepare_cached(
            "INSERT INTO outbox (message_id, exchange, routing_key, routes, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            id.as_str(),
            message.exchange,
            message.routing_key,
            routes,
            message.body.to_string()
        ])?;
    }
    bound(tx, MOST, DROPPED)
}

/// Forgets the oldest messages if more than `most` wait: a broker may never come back.
fn bound(tx: &Transaction<'_>, most: i64, dropped: i64) -> Result<(), StoreError> {
    let mut ends = tx.prepare_cached("SELECT (SELECT min(id) FROM outbox), (SELECT max(id) FROM outbox)")?;
    let (first, last): (Option<i64>, Option<i64>) = ends.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
    if last - first < most {
        return Ok(());
    }
    let until = first.saturating_add(dropped);
    let gone = tx.prepare_cached("DELETE FROM outbox WHERE id < ?")?.execute([until])?;
    tracing::warn!(gone, most, "the broker is away for too long: the oldest of the queue's messages are not published");
    Ok(())
}

/// Forgets what is written down: without a broker it would wait, and come months too late to the next one.
pub(crate) async fn forget(ctx: &Ctx) -> Result<(), StoreError> {
    let gone = ctx.store.write(|tx| Ok::<_, StoreError>(tx.execute("DELETE FROM outbox", [])?)).await?;
    if gone > 0 {
        tracing::warn!(gone, "there is no broker now: messages that waited for one are not published");
    }
    Ok(())
}

/// Publishes what is written down, until the server stops; what is left then is published after the next start.
pub(crate) async fn publish(ctx: &Arc<Ctx>, broker: &Broker) {
    let exchanges = EXCHANGES.iter().map(|name| format!("{PREFIX}{name}")).collect();
    let mut publisher = broker.publisher(Topology { exchanges, ..Topology::default() });
    let mut failures = 0;
    loop {
        // A broker may take its time: one that is short of memory says nothing at all. What is dropped here is published
        // after the next start, perhaps again.
        let forwarded = tokio::select! {
            () = ctx.stopped() => break,
            forwarded = forward(ctx, &mut publisher) => forwarded,
        };
        match forwarded {
            Ok(true) => failures = 0,
            Ok(false) => tokio::select! {
                () = ctx.stopped() => break,
                () = ctx.queue.written.notified() => {}
            },
            Err(error) => {
                tracing::warn!(error, "the queue's messages can't be published for now; they are kept");
                failures += 1;
                let pause = Duration::from_millis(100).saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
                tokio::select! {
                    () = ctx.stopped() => break,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
    publisher.close().await;
}

/// Publishes the oldest ones; false if there are none.
async fn forward(ctx: &Arc<Ctx>, publisher: &mut taskgraft_client::pulse::Publisher) -> Result<bool, String> {
    let waiting = ctx.store.read(oldest).await.map_err(|error: StoreError| error.to_string())?;
    let Some((last, _)) = waiting.last() else { return Ok(false) };
    let last = *last;
    let messages: Vec<_> = waiting.into_iter().map(|(_, message)| message).collect();
    publisher.publish(&messages).await.map_err(|error| error.to_string())?;
    // One thread writes, so all up to the last that was seen were seen.
    let forget = move |tx: &Transaction<'_>| {
        tx.prepare_cached("DELETE FROM outbox WHERE id <= ?")?.execute([last])?;
        Ok::<_, StoreError>(())
    };
    ctx.store.write(forget).await.map_err(|error| error.to_string())?;
    Ok(true)
}

fn oldest(tx: &Transaction<'_>) -> Result<Vec<(i64, Outgoing)>, StoreError> {
    let mut statement = tx
        .prepare_cached("SELECT id, message_id, exchange, routing_key, routes, body FROM outbox ORDER BY id LIMIT ?")?;
    let rows = statement.query_map([BATCH], |row| {
        let exchange: String = row.get(2)?;
        let body: String = row.get(5)?;
        let message = Outgoing {
            message_id: Some(row.get(1)?),
            exchange: format!("{PREFIX}{exchange}"),
            routing_key: row.get(3)?,
            cc: parsed(4, serde_json::from_str(row.get_ref(4)?.as_str()?))?,
            body: body.into_bytes(),
            ..Outgoing::default()
        };
        Ok((row.get(0)?, message))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::tables::MIGRATIONS;

    #[test]
    fn while_the_broker_is_away_only_the_newest_are_kept() {
        let mut connection = Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        let tx = connection.transaction().unwrap();
        let waiting = |tx: &Transaction<'_>| oldest(tx).unwrap().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        bound(&tx, 20, 5).unwrap();
        for n in 1..=100_i64 {
            tx.execute(
                "INSERT INTO outbox (message_id, exchange, routing_key, routes, body) VALUES (?, '', '', '[]', '')",
                [n],
            )
            .unwrap();
            bound(&tx, 20, 5).unwrap();
            let ids = waiting(&tx);
            assert!(ids.len() <= 20, "{ids:?}");
            assert_eq!(ids.last(), Some(&n), "the newest is there");
            assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]), "the oldest are gone, and no others: {ids:?}");
            assert!(n < 20 || ids.len() > 14, "and no more of them than have to: {ids:?}");
        }
    }
}
