//! The journal under processes that are killed, and under several at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::StreamExt as _;
use rand::Rng as _;
use taskgraft_client::SystemClock;
use taskgraft_core::ids::RequestId;
use taskgraft_service::journal::{Change, Filter, Journal, Page, Received, Settings, Step, What};
use taskgraft_service::{Door, Event, NewRequest, State, next};

use crate::asked::by_nobody;

/// What the writing process is told: the journal, and how many requests to deliver.
const FILE: &str = "TASKGRAFT_TEST_JOURNAL";
const COUNT: &str = "TASKGRAFT_TEST_REQUESTS";
/// How many acknowledgements it survives.
const LIVES: &str = "TASKGRAFT_TEST_LIVES";
/// And how many it delivers at the same time. One by one, it dies right when an answer is there; of many, while others wait.
const AT_ONCE: &str = "TASKGRAFT_TEST_AT_ONCE";

fn message(n: u32) -> NewRequest {
    by_nobody(format!("message-{n}"), Door::Pulse, n.into())
}

async fn open(file: &Path) -> Journal {
    let settings = Settings { look: None, ..Settings::default() };
    Journal::open(file, settings, Arc::new(SystemClock)).await.unwrap()
}

/// What another process runs: delivers each request twice, many at once, fails every third, and says each thing once the
/// journal has acknowledged it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "other tests start it as a process of its own"]
async fn writer() {
    let file = std::env::var_os(FILE).expect("the test that starts this says which file");
    let told = |name| std::env::var(name).expect("it says this too").parse::<i64>().unwrap();
    let (count, lives, at_once) = (told(COUNT), AtomicI64::new(told(LIVES)), told(AT_ONCE));
    let journal = open(Path::new(&file)).await;
    let say = |text: String| {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).unwrap();
        // At once, while the journal's thread is at whatever it is at.
        if lives.fetch_sub(1, Ordering::SeqCst) == 1 {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
    };
    let deliveries = futures_util::stream::iter((0..u32::try_from(count).unwrap()).flat_map(|n| [n, n])).map(|n| {
        let journal = journal.clone();
        async move {
            let received = journal.receive(message(n)).await.unwrap();
            let word = match &received {
                Received::New(_) => "new",
                Received::Known(_) => "known",
                Received::Other(_) => "other",
            };
            let id = received.request().id.clone();
            say(format!("\n> {word} {n} {id}\n"));
            if word == "new" && n % 3 == 0 {
                journal.apply(&id, Event::Failed, Change::default()).await.unwrap();
                say(format!("\n> failed {n} {id}\n"));
            }
        }
    });
    deliveries.buffer_unordered(usize::try_from(at_once).unwrap()).collect::<()>().await;
}

fn start(file: &Path, count: u32, lives: i64, at_once: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "journaling::writer", "--nocapture"])
        .env(FILE, file)
        .env(COUNT, count.to_string())
        .env(LIVES, lives.to_string())
        .env(AT_ONCE, at_once.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a writer said: words with the requests' numbers and ids. A line that was cut off was not said.
fn heard(line: &str) -> Option<(String, u32, RequestId)> {
    let mut words = line.strip_prefix("> ")?.split(' ');
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

async fn steps(journal: &Journal) -> Vec<Step> {
    let mut all: Vec<Step> = Vec::new();
    loop {
        let more = journal.since(all.last().map_or(0, |step| step.seq), 1000).await.unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// Fails unless each request's steps begin with its being received, once, and lead to the state it is in.
async fn assert_sound(journal: &Journal) -> usize {
    let mut states: BTreeMap<RequestId, State> = BTreeMap::new();
    for step in steps(journal).await {
        let before = states.get(&step.request).copied();
        let after = match (step.what, before) {
            (What::Received, None) => State::Received,
            (What::Event(event), Some(before)) => next(before, event).unwrap(),
            (what, before) => panic!("{what:?} after {before:?}"),
        };
        assert_eq!(after, step.state);
        states.insert(step.request, after);
    }
    let mut page = Page::first(1000);
    let mut count = 0;
    loop {
        let part = journal.list(Filter::default(), page).await.unwrap();
        for request in &part.items {
            assert_eq!(states.get(&request.id), Some(&request.state), "{}", request.id);
        }
        count += part.items.len();
        page.after = part.next;
        if page.after.is_none() {
            assert_eq!(count, states.len());
            return count;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kills_at_any_moment_and_nothing_is_there_twice() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal.sqlite");
    let mut said: BTreeMap<(String, u32), RequestId> = BTreeMap::new();
    for round in 0..12 {
        // Each round gets further than the one before, since what is known is delivered again first.
        let until = rand::rng().random_range(1..100) + 200 * round;
        let mut child = start(&file, 1_000_000, until, if round % 2 == 0 { 64 } else { 1 });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = 0;
        for (word, n, id) in lines.map_while(Result::ok).filter_map(|line| heard(&line)) {
            told += 1;
            let word = if word == "known" { "new".to_owned() } else { word };
            if let Some(before) = said.insert((word, n), id.clone()) {
                assert_eq!(before, id, "one key has one id");
            }
        }
        assert!(!child.wait().unwrap().success(), "it was killed");
        assert!(told >= until);
        let journal = open(&file).await;
        for ((word, n), id) in &said {
            let request = journal.get(id).await.unwrap();
            let request = request.unwrap_or_else(|| panic!("{n} was acknowledged and is lost"));
            assert!(word != "failed" || request.state == State::Failed, "{n} is {}", request.state);
        }
        assert_sound(&journal).await;
    }
    assert!(said.values().collect::<BTreeSet<_>>().len() > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_receive_the_same_at_once_have_each_request_once() {
    const REQUESTS: u32 = 300;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal.sqlite");
    // Started together, they also make the file together.
    let children: Vec<Child> = (0..3).map(|_| start(&file, REQUESTS, i64::MAX, 64)).collect();
    let mut new = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let heard: Vec<_> = text.lines().filter_map(heard).collect();
        let received = heard.iter().filter(|(word, ..)| word != "failed").count();
        assert_eq!(received, 2 * REQUESTS as usize);
        new.extend(heard.into_iter().filter(|(word, ..)| word == "new").map(|(_, n, _)| n));
    }
    new.sort_unstable();
    assert_eq!(new, (0..REQUESTS).collect::<Vec<_>>(), "each was new to one of them");
    assert_eq!(assert_sound(&open(&file).await).await, REQUESTS as usize);
}
