use proptest::prelude::*;

use super::testing::{Place, add, quiet, wish};
use super::*;
use crate::{Event, State, next};

#[tokio::test]
async fn a_newer_journal_is_refused() {
    let place = Place::new().await;
    let path = place.dir.path().join("journal");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = Journal::open(&path, quiet(), Arc::clone(&place.clock) as Arc<dyn Clock>).await.err().unwrap();
    assert!(refused.to_string().contains("version 99"), "{refused}");
}

#[tokio::test]
async fn a_full_disk_refuses_and_keeps_what_was_there() {
    let place = Place::new().await;
    let first = add(&place.journal, "before").await;
    let limit = async |pages: &'static str| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        let set = move |tx: &rusqlite::Transaction<'_>| Ok::<_, JournalError>(tx.execute_batch(&sql)?);
        place.journal.inner.store.write(set).await.unwrap();
    };
    limit("1").await;
    let mut large = wish("large", "add-new-jobs");
    large.asked.input = "x".repeat(500_000).into();
    let refused = place.journal.receive(large.clone()).await;
    assert!(matches!(refused, Err(JournalError::Store(taskgraft_store::StoreError::Full))), "{refused:?}");
    assert_eq!(place.journal.list(Filter::default(), Page::first(10)).await.unwrap().items, [first]);
    limit("1000000").await;
    assert!(matches!(place.journal.receive(large).await.unwrap(), Received::New(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is tried, the state is the fold of what was accepted, the steps say the same, and so does the file when
    /// it is opened again.
    #[test]
    fn a_state_is_the_fold_of_its_accepted_events(
        tried in prop::collection::vec((0..3usize, 0..Event::ALL.len()), 0..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::new().await;
            let mut states = Vec::new();
            for key in ["a", "b", "c"] {
                states.push((add(&place.journal, key).await.id, State::Received));
            }
            for (which, event) in tried {
                let (id, state) = &mut states[which];
                let event = Event::ALL[event];
                let done = place.journal.apply(id, event, Change::default()).await;
                match next(*state, event) {
                    Ok(after) => {
                        assert_eq!(done.unwrap().state, after);
                        *state = after;
                    }
                    Err(invalid) => assert!(matches!(done, Err(JournalError::Invalid(told)) if told == invalid)),
                }
            }
            let again = place.again(quiet()).await;
            for (id, state) in states {
                assert_eq!(again.get(&id).await.unwrap().unwrap().state, state);
                let fold = again.steps_of(&id).await.unwrap().into_iter().fold(State::Received, |state, step| {
                    let after = match step.what {
                        What::Received | What::Facts => state,
                        What::Event(event) => next(state, event).unwrap(),
                    };
                    assert_eq!(after, step.state);
                    after
                });
                assert_eq!(fold, state);
            }
        });
    }
}
