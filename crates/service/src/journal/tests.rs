use std::time::Duration;

use proptest::prelude::*;
use taskgraft_core::ids::TaskId;

use super::testing::{Place, wish};
use super::*;
use crate::{Door, Event, Request, State, next};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn quiet() -> Settings {
    Settings { look: None, ..Settings::default() }
}

async fn add(journal: &Journal, key: &str) -> Request {
    match journal.receive(wish(key, "add-new-jobs")).await.unwrap() {
        Received::New(request) => request,
        known @ (Received::Known(_) | Received::Other(_)) => panic!("{known:?}"),
    }
}

#[tokio::test]
async fn a_second_delivery_is_the_same_request_as_far_as_it_has_come() {
    let place = Place::new().await;
    let first = add(&place.journal, "click-1").await;
    let decision = TaskId::from_bytes([1; 16]);
    let change = Change { decision: Some(decision), ..Change::default() };
    place.journal.apply(&first.id, Event::Allowed, change).await.unwrap();
    let again = place.journal.receive(wish("click-1", "add-new-jobs")).await.unwrap();
    let Received::Known(again) = again else { panic!("{again:?}") };
    assert_eq!((again.id, again.state, again.decision), (first.id, State::Ready, Some(decision)));
}

#[tokio::test]
async fn a_key_that_is_taken_is_told_with_what_has_it() {
    let place = Place::new().await;
    let first = add(&place.journal, "click-1").await;
    let other = place.journal.receive(wish("click-1", "cancel-all")).await.unwrap();
    assert_eq!(other, Received::Other(first));
    let mut bob = wish("click-1", "cancel-all");
    bob.asker.name = "bob".to_owned();
    assert!(matches!(place.journal.receive(bob).await.unwrap(), Received::New(_)), "another asker has keys of his own");
}

#[tokio::test]
async fn equal_bodies_are_one_request_within_the_window() {
    let place = Place::new().await;
    let window = Duration::from_secs(60);
    let message = || crate::NewRequest { door: Door::Pulse, ..wish("6f3a", "backfill") };
    let first = place.journal.receive_within(message(), window).await.unwrap();
    place.clock.go(window);
    let second = place.journal.receive_within(message(), window).await.unwrap();
    assert_eq!(second, Received::Known(first.request().clone()));
    place.clock.go(Duration::from_millis(1));
    let third = place.journal.receive_within(message(), window).await.unwrap();
    assert!(matches!(&third, Received::New(request) if request.id != first.request().id), "{third:?}");
    let another = crate::NewRequest { key: "6f3".to_owned(), ..message() };
    assert!(matches!(place.journal.receive_within(another, window).await.unwrap(), Received::New(_)));
}

#[tokio::test]
async fn what_is_delivered_again_is_an_equal_one_whose_acknowledgement_may_be_lost_and_else_a_click_of_its_own() {
    let place = Place::new().await;
    let (minute, hours) = (Duration::from_secs(60), Duration::from_secs(7 * 3600));
    let message = |key: &str| crate::NewRequest { door: Door::Pulse, ..wish(key, "backfill") };
    let other = |key: &'static str| place.journal.receive_within(message(key), minute);
    let again = || place.journal.receive_again(message("6f3a"), minute);
    let first = place.journal.receive_within(message("6f3a"), minute).await.unwrap();
    let is_first = |received: &Received| matches!(received, Received::Known(it) if it.id == first.request().id);
    // Nothing came since: its acknowledgement may have been lost, and the broker away for long.
    place.clock.go(4 * hours);
    assert!(is_first(&again().await.unwrap()));
    // The same once more, while others came after the broker was back: this acknowledgement may be lost as well.
    assert!(matches!(other("behind it").await.unwrap(), Received::New(_)));
    place.clock.go(hours);
    assert!(is_first(&again().await.unwrap()));
    // What comes together with it tells nothing of the connection before.
    place.clock.go(hours);
    other("in the same moment").await.unwrap();
    assert!(is_first(&again().await.unwrap()));
    // Others came long after it, and the connection that had its acknowledgement was there for them.
    place.clock.go(11 * minute);
    other("long after").await.unwrap();
    place.clock.go(11 * minute);
    let elsewhere = crate::NewRequest {
        asker: crate::Asker { authority: crate::Authority::Nobody("elsewhere".to_owned()), ..message("6f3a").asker },
        ..message("6f3a")
    };
    assert!(is_first(&place.journal.receive_again(elsewhere, minute).await.unwrap()), "its exchange was silent");
    place.clock.go(11 * minute);
    other("longer after").await.unwrap();
    place.clock.go(11 * minute);
    let click = again().await.unwrap();
    assert!(matches!(&click, Received::New(it) if it.id != first.request().id), "{click:?}");
    assert_eq!(again().await.unwrap(), Received::Known(click.request().clone()));
}

#[tokio::test]
async fn what_is_learnt_stays_until_it_is_learnt_anew() {
    let place = Place::new().await;
    let id = add(&place.journal, "click-1").await.id;
    let plan = serde_json::json!({"tasks": [1, 2]});
    let learnt = Change {
        plan: Some(plan.clone()),
        report: Some(true.into()),
        error: Some("x".to_owned()),
        ..Change::default()
    };
    place.journal.apply(&id, Event::Failed, learnt).await.unwrap();
    let cancel = Change { with_dependencies: Some(true), ..Change::default() };
    let request = place.journal.apply(&id, Event::CancelAsked, cancel).await.unwrap();
    assert_eq!(place.journal.get(&id).await.unwrap(), Some(request.clone()));
    assert_eq!((request.plan, request.report, request.error.as_deref()), (Some(plan), Some(true.into()), Some("x")));
    assert!(request.with_dependencies);
}

#[tokio::test]
async fn trying_again_forgets_what_came_of_the_time_before() {
    let place = Place::new().await;
    let first = add(&place.journal, "click-1").await;
    let (id, task) = (first.id.clone(), TaskId::from_bytes([1; 16]));
    place.clock.go(Duration::from_secs(1));
    let failed = Change {
        decision: Some(task),
        action_task: Some(task),
        plan: Some(true.into()),
        report: Some(true.into()),
        error: Some("x".to_owned()),
        ..Change::default()
    };
    place.journal.apply(&id, Event::Failed, failed).await.unwrap();
    let again = place.journal.apply(&id, Event::Retried, Change::default()).await.unwrap();
    let now = again.changed;
    assert_eq!(again, Request { decision: Some(task), retries: 1, changed: now, ..first });
    assert_eq!(place.journal.get(&id).await.unwrap(), Some(again));
}

#[tokio::test]
async fn what_was_sent_before_it_was_tried_again_is_not_sent_now() {
    let place = Place::new().await;
    let id = add(&place.journal, "click-1").await.id;
    let mut told = Vec::new();
    let tries = [Event::Allowed, Event::Sent, Event::Failed, Event::Retried, Event::Allowed, Event::Sent];
    for event in tries {
        place.journal.apply(&id, event, Change::default()).await.unwrap();
        told.push(place.journal.was_sent(&id).await.unwrap());
    }
    assert_eq!(told, [false, true, true, false, false, true]);
    assert_eq!(place.journal.times(&id, Event::Sent).await.unwrap(), 2);
}

#[tokio::test]
async fn what_cannot_happen_changes_nothing() {
    let place = Place::new().await;
    let request = add(&place.journal, "click-1").await;
    let learnt = Change { error: Some("x".to_owned()), ..Change::default() };
    let refused = place.journal.apply(&request.id, Event::Sent, learnt).await;
    assert!(matches!(refused, Err(JournalError::Invalid(_))), "{refused:?}");
    assert_eq!(place.journal.get(&request.id).await.unwrap(), Some(request.clone()));
    assert_eq!(place.journal.since(0, 10).await.unwrap().len(), 1);
    let unknown = place.journal.facts(&"nobody".parse().unwrap(), Change::default()).await;
    assert!(matches!(unknown, Err(JournalError::Unknown(_))), "{unknown:?}");
}

#[tokio::test]
async fn what_is_too_large_is_not_received() {
    let place = Place::new().await;
    let mut large = wish("click-1", "add-new-jobs");
    large.asked.input = "x".repeat(2 * 1024 * 1024).into();
    let refused = place.journal.receive(large).await;
    assert!(matches!(refused, Err(JournalError::TooLarge { what: "what is asked", .. })), "{refused:?}");
    assert!(place.journal.receive(wish(&"k".repeat(2000), "add-new-jobs")).await.is_err());
    assert_eq!(place.journal.list(Filter::default(), Page::first(10)).await.unwrap().items, []);
}

#[tokio::test]
async fn lists_come_in_parts_and_filtered() {
    let place = Place::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        place.clock.go(Duration::from_secs(1));
        ids.push(add(&place.journal, &format!("click-{n}")).await.id);
    }
    let failed = place.journal.apply(&ids[1], Event::Failed, Change::default()).await.unwrap();
    let mut seen = Vec::new();
    let mut page = Page::first(2);
    loop {
        let part = place.journal.list(Filter::default(), page).await.unwrap();
        assert!(part.items.len() <= 2);
        seen.extend(part.items.into_iter().map(|request| request.id));
        match part.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ids.iter().rev().cloned().collect::<Vec<_>>());
    let count = async |filter| place.journal.list(filter, Page::first(100)).await.unwrap().items.len();
    assert_eq!(count(Filter { state: Some(State::Failed), ..Filter::default() }).await, 1);
    assert_eq!(count(Filter { since: Some(failed.received), ..Filter::default() }).await, 4);
    assert_eq!(count(Filter { project: Some("lander".to_owned()), ..Filter::default() }).await, 5);
    assert_eq!(count(Filter { door: Some(Door::Pulse), ..Filter::default() }).await, 0);
    assert_eq!(count(Filter { asker: Some("bob".to_owned()), ..Filter::default() }).await, 0);
    let first = place.journal.unfinished(Page::first(3)).await.unwrap();
    let rest = place.journal.unfinished(Page { after: first.next, limit: 3 }).await.unwrap();
    let open: Vec<_> = first.items.into_iter().chain(rest.items).map(|caller| caller.request).collect();
    assert_eq!(open, [&ids[0], &ids[2], &ids[3], &ids[4]].map(Clone::clone));
}

#[tokio::test]
async fn a_part_of_what_is_large_has_less_in_it() {
    let place = Place::new().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        let mut large = wish(&format!("click-{n}"), "add-new-jobs");
        large.asked.input = "x".repeat(900_000).into();
        let id = place.journal.receive(large).await.unwrap().request().id.clone();
        assert!(place.journal.glance(&id).await.unwrap().unwrap().bytes > 900_000);
        ids.push(id);
    }
    let (mut seen, mut page) = (Vec::new(), Page::first(1000));
    loop {
        let part = place.journal.list(Filter::default(), page).await.unwrap();
        assert!((1..=3).contains(&part.items.len()), "{}", part.items.len());
        seen.extend(part.items.into_iter().map(|request| request.id));
        page.after = part.next;
        if page.after.is_none() {
            break;
        }
    }
    seen.reverse();
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn who_wants_a_turn_is_read_in_parts_and_what_cannot_be_read_holds_up_nobody() {
    let place = Place::new().await;
    let journal = &place.journal;
    let (bad, id) = (add(journal, "bad").await.id, add(journal, "click").await.id);
    let placed = Change { project: Some("elsewhere".to_owned()), ..Change::default() };
    journal.apply(&id, Event::Allowed, placed).await.unwrap();
    journal.facts(&id, Change::default()).await.unwrap();
    let spoil =
        |tx: &rusqlite::Transaction<'_>| Ok(tx.execute("UPDATE requests SET id = 'a b' WHERE key = 'bad'", [])?);
    journal.inner.store.write(spoil).await.map_err(|error: JournalError| error).unwrap();
    assert!(journal.get(&bad).await.unwrap().is_none());
    let (mut calls, mut part) = (Vec::new(), journal.calls(0, 2).await.unwrap());
    assert!(part.more);
    while part.more {
        calls.append(&mut part.calls);
        part = journal.calls(part.seen, 2).await.unwrap();
    }
    calls.append(&mut part.calls);
    let caller = Caller { request: id.clone(), project: Some("elsewhere".to_owned()), asker: "ann".to_owned() };
    assert_eq!(calls, [(Call::Wanted, caller.clone()), (Call::Placed, caller.clone())]);
    assert_eq!(part.seen, *journal.subscribe().borrow(), "also steps that call nobody");
    assert_eq!(journal.unfinished(Page::first(10)).await.unwrap().items, [caller]);
}

#[tokio::test]
async fn whoever_waits_for_steps_misses_none() {
    let place = Place::new().await;
    let mut woken = place.journal.subscribe();
    let id = add(&place.journal, "click-1").await.id;
    woken.changed().await.unwrap();
    let seen = *woken.borrow_and_update();
    assert_eq!(place.journal.since(0, 10).await.unwrap().last().unwrap().seq, seen);
    place.journal.apply(&id, Event::Allowed, Change::default()).await.unwrap();
    place.journal.facts(&id, Change::default()).await.unwrap();
    woken.changed().await.unwrap();
    let what: Vec<_> =
        place.journal.since(seen, 10).await.unwrap().into_iter().map(|step| (step.what, step.state)).collect();
    assert_eq!(what, [(What::Event(Event::Allowed), State::Ready), (What::Facts, State::Ready)]);
    // A delivery that changes nothing is no step.
    place.journal.receive(wish("click-1", "add-new-jobs")).await.unwrap();
    assert_eq!(place.journal.steps_of(&id).await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_another_writes_wakes_those_who_wait_here() {
    let place = Place::with(Settings { look: Some(Duration::from_millis(5)), ..Settings::default() }).await;
    let (mut steps, mut letters) = (place.journal.subscribe(), place.journal.subscribe_letters());
    let other = place.again(quiet()).await;
    let id = add(&other, "click-1").await.id;
    steps.changed().await.unwrap();
    assert_eq!(place.journal.since(0, 10).await.unwrap()[0].request, id);
    let n = other.dead_letter(letter(b"{")).await.unwrap();
    other.want_letter(n).await.unwrap();
    letters.changed().await.unwrap();
    assert_eq!(place.journal.wanted_letters(10).await.unwrap()[0].n, n);
}

fn letter(body: &[u8]) -> NewLetter {
    NewLetter {
        exchange: "exchange/treeherder/v1/job-actions".to_owned(),
        routing_key: "a.b.c".to_owned(),
        message_id: None,
        reason: "no JSON".to_owned(),
        body: body.to_vec(),
    }
}

#[tokio::test]
async fn a_dead_letter_is_tried_again_when_somebody_wants_it() {
    let place = Place::new().await;
    let journal = &place.journal;
    let id = add(journal, "click-1").await.id;
    let (a, b) = (journal.dead_letter(letter(b"a")).await.unwrap(), journal.dead_letter(letter(b"b")).await.unwrap());
    for n in [b, a, b] {
        journal.want_letter(n).await.unwrap();
    }
    let wanted: Vec<_> = journal.wanted_letters(10).await.unwrap().into_iter().map(|letter| letter.n).collect();
    assert_eq!(wanted, [b, a]);
    journal.settle_letter(b, Settled::Request(id.clone())).await.unwrap();
    journal.settle_letter(a, Settled::Dead("still no JSON".to_owned())).await.unwrap();
    assert_eq!(journal.wanted_letters(10).await.unwrap(), []);
    let kept = journal.dead_letters(Page::first(10)).await.unwrap().items;
    assert_eq!((kept[0].n, &kept[0].became, kept[0].message.reason.as_str()), (b, &Some(id), "no JSON"));
    assert_eq!((kept[1].n, &kept[1].became, kept[1].message.reason.as_str()), (a, &None, "still no JSON"));
    // A new wish has a new number, so that whoever has seen the old ones wakes.
    let mut woken = journal.subscribe_letters();
    woken.mark_unchanged();
    journal.want_letter(a).await.unwrap();
    assert!(woken.has_changed().unwrap());
    assert!(matches!(journal.want_letter(99).await, Err(JournalError::NoLetter(99))));
}

#[tokio::test]
async fn dead_letters_are_bounded_in_size_and_number() {
    let place = Place::with(Settings { letters: 3, ..quiet() }).await;
    let large = place.journal.dead_letter(letter(&vec![b'x'; 3 * 1024 * 1024])).await.unwrap();
    let kept = &place.journal.dead_letters(Page::first(10)).await.unwrap().items[0];
    assert_eq!((kept.size, kept.message.body.len(), kept.is_cut()), (3 * 1024 * 1024, 1024 * 1024, true));
    assert!(matches!(place.journal.want_letter(large).await, Err(JournalError::Cut(_))));
    for _ in 0..5 {
        place.journal.dead_letter(letter(b"x")).await.unwrap();
    }
    let kept: Vec<_> =
        place.journal.dead_letters(Page::first(10)).await.unwrap().items.iter().map(|kept| kept.n).collect();
    assert_eq!(kept, [large + 5, large + 4, large + 3]);
}

#[tokio::test]
async fn the_audit_log_says_who_wanted_what_and_what_came_of_it() {
    let place = Place::new().await;
    let id = add(&place.journal, "click-1").await.id;
    let why = Change { why: Some("rule 2".to_owned()), ..Change::default() };
    place.journal.apply(&id, Event::Allowed, why).await.unwrap();
    let failed = Change { error: Some("no such job".to_owned()), ..Change::default() };
    place.journal.apply(&id, Event::Failed, failed).await.unwrap();
    let by = Change { by: Some("operator".to_owned()), ..Change::default() };
    place.journal.apply(&id, Event::Retried, by).await.unwrap();
    let turned_away = Entry {
        who: "mallory".to_owned(),
        what: "POST /requests".to_owned(),
        why: "bad signature".to_owned(),
        outcome: "refused".to_owned(),
        door: Some(Door::Http),
        request: None,
    };
    place.journal.audit(turned_away.clone()).await.unwrap();
    let all = place.journal.audited(AuditFilter::default(), Page::first(10)).await.unwrap().items;
    assert_eq!(all[0].entry, turned_away);
    let told = |entry: &Audited| [&entry.entry.who, &entry.entry.outcome, &entry.entry.why].map(Clone::clone);
    assert_eq!(
        all[1..].iter().rev().map(told).collect::<Vec<_>>(),
        [
            ["ann", "received", ""],
            ["ann", "allowed", "rule 2"],
            ["ann", "failed", "no such job"],
            ["operator", "retried", ""]
        ]
    );
    assert!(all[1].entry.what.starts_with("add-new-jobs on the push of decision task"), "{}", all[1].entry.what);
    let filter = AuditFilter { who: Some("operator".to_owned()), request: Some(id), ..AuditFilter::default() };
    assert_eq!(place.journal.audited(filter, Page::first(10)).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn log_lines_are_kept_per_request_and_bounded() {
    let place = Place::new().await;
    let id = add(&place.journal, "click-1").await.id;
    let line = |request: &taskgraft_core::ids::RequestId, text: &str| NewLine {
        request: request.clone(),
        at: place.journal.now(),
        text: text.to_owned(),
    };
    let other = "other".parse().unwrap();
    place.journal.log(vec![line(&id, "one"), line(&other, "lost"), line(&id, &"ä".repeat(20_000))]).await.unwrap();
    place.journal.log((0..10_050).map(|n| line(&id, &n.to_string())).collect()).await.unwrap();
    let mut kept = Vec::new();
    let mut page = Page::first(1000);
    loop {
        let part = place.journal.log_of(&id, page).await.unwrap();
        kept.extend(part.items);
        page.after = part.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(kept.len(), 10_000);
    assert_eq!((kept[0].text.as_str(), kept[1].text.len()), ("one", 16 * 1024));
    assert_eq!(place.journal.log_of(&other, Page::first(10)).await.unwrap().items, []);
}

#[tokio::test]
async fn what_has_ended_is_forgotten_after_its_time_and_nothing_before() {
    let keep = Keep { requests: 10 * DAY, letters: 5 * DAY, audit: 20 * DAY };
    let place = Place::with(Settings { keep, ..quiet() }).await;
    let journal = &place.journal;
    let (open, ended) = (add(journal, "open").await.id, add(journal, "ended").await.id);
    journal.dead_letter(letter(b"x")).await.unwrap();
    place.clock.go(5 * DAY);
    journal.apply(&ended, Event::Failed, Change { plan: Some(1.into()), ..Change::default() }).await.unwrap();
    journal.log(vec![NewLine { request: ended.clone(), at: journal.now(), text: "x".to_owned() }]).await.unwrap();
    assert_eq!(journal.purge().await.unwrap(), Purged::default());
    place.clock.go(Duration::from_millis(1));
    assert_eq!(journal.purge().await.unwrap(), Purged { letters: 1, ..Purged::default() });
    place.clock.go(10 * DAY);
    let seq = *journal.subscribe().borrow();
    assert_eq!(journal.purge().await.unwrap(), Purged { requests: 1, ..Purged::default() });
    assert_eq!(journal.get(&ended).await.unwrap(), None);
    assert_eq!(journal.steps_of(&ended).await.unwrap(), []);
    assert!(journal.get(&open).await.unwrap().is_some(), "it has not ended");
    let left: i64 = journal
        .inner
        .store
        .read(|tx| {
            let sql = "SELECT (SELECT count(*) FROM lines) + (SELECT count(*) FROM outcomes)";
            Ok::<_, JournalError>(tx.query_row(sql, [], |row| row.get(0))?)
        })
        .await
        .unwrap();
    assert_eq!(left, 0);
    place.clock.go(10 * DAY);
    assert_eq!(journal.purge().await.unwrap(), Purged { audit: 3, ..Purged::default() });
    // Numbers are not given out again, though the step that had the last one is forgotten.
    let again = place.again(quiet()).await;
    assert_eq!(*again.subscribe().borrow(), seq);
}

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
