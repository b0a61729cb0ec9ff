//! What a requester's key stands for: what the first action task that carries it was told. Whoever was told something else
//! refuses, and does nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use taskgraft_core::action::reserved::{Reserved, add};
use taskgraft_core::ids::TaskId;
use taskgraft_core::report::Terminal;
use taskgraft_core::state::TaskState;
use taskgraft_core::time::Millis;
use taskgraft_engine::OwnRun;
use taskgraft_engine::action::ActionAsk;

use crate::acting::{Acted, ask, perform};
use crate::graph::layered;
use crate::proxy::Fault;
use crate::site::{SCHEDULER, Site, counts, definition};

/// An action task as `.taskcluster.yml` makes it for what is asked, and running.
async fn told(site: &Site, ask: &ActionAsk, asker: &str) -> OwnRun {
    let mut task = definition(site.now(), ask.group, SCHEDULER, "action", &[]);
    task["scopes"] = json!(["assume:repo:github.com/example/lander:branch:main"]);
    task["payload"]["env"] = json!({
        "ACTION_TASK_GROUP_ID": ask.group, "ACTION_CALLBACK": ask.callback, "ACTION_INPUT": ask.input.to_string(),
        "ACTION_TASK_ID": json!(ask.task).to_string(),
    });
    task["extra"] = json!({"action": {"name": ask.callback, "context": {"clientId": asker}}});
    let id = TaskId::from_bytes(rand::random());
    site.client().queue().create_task(id, task.to_string().into()).await.unwrap();
    site.claim(id).await;
    OwnRun { task: id, run: 0 }
}

async fn carried_out(site: &Site, own: OwnRun, ask: &ActionAsk) -> Acted {
    perform(&site.machine(own.task.as_str()), own, ask).await
}

fn tests(group: TaskId, labels: &[&str], key: &str) -> ActionAsk {
    ask(group, "add-new-jobs", json!({"tasks": labels, "taskgraft": {"key": key}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_comes_again_with_other_input_is_refused_and_creates_nothing() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(2, 2), &[]).await;
    let (one, other) = (tests(decision, &["test-0-0"], "nightly"), tests(decision, &["test-1-0"], "nightly"));
    // The default of `times` is the same as saying it.
    let mut same = one.clone();
    same.input["times"] = json!(1);
    let first = told(&site, &one, "ann").await;
    let (second, third) = (told(&site, &other, "ann").await, told(&site, &same, "ann").await);
    let acted = carried_out(&site, first, &one).await;
    assert_eq!(acted.report().result, Terminal::Done);
    let made = site.group(decision).await;
    // Whether the first lives, is done or has failed changes nothing.
    for fate in ["running", "failed"] {
        let error = carried_out(&site, second, &other).await.error();
        let why = format!("the key `nightly` asked for something else before, see {}", first.task);
        assert!(error.contains(&why), "{fate}: {error}");
        assert_eq!(counts(&site.group(decision).await), counts(&made), "{fate}");
        if fate == "running" {
            assert_eq!(carried_out(&site, third, &same).await.report().result, Terminal::Done);
            assert_eq!(counts(&site.group(decision).await), counts(&made), "the same was made once");
            site.client().queue().report_failed(first.task, 0).await.unwrap();
        }
    }
    // Another asker's key is another key.
    let bob = told(&site, &other, "bob").await;
    assert_eq!(carried_out(&site, bob, &other).await.report().result, Terminal::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_at_once_the_first_decides_what_the_key_is_for() {
    for round in 0..3 {
        let site = Arc::new(Site::start().await);
        let (decision, _) = site.push(&layered(3, 1), &[]).await;
        let everybody = (0..9).map(|n| {
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                let asked = tests(decision, &[&format!("test-{}-0", n % 3)], "nightly");
                let own = told(&site, &asked, "ann").await;
                (n % 3, own, carried_out(&site, own, &asked).await)
            })
        });
        let all = futures_util::future::join_all(everybody).await;
        let mut placed: Vec<((Millis, TaskId), usize, Acted)> = Vec::new();
        for (what, own, acted) in all.into_iter().map(Result::unwrap) {
            let scheduled = site.client().queue().status(own.task).await.unwrap().runs[0].scheduled;
            placed.push(((scheduled, own.task), what, acted));
        }
        placed.sort_by_key(|(place, ..)| *place);
        let wanted = placed[0].1;
        for (_, what, acted) in &placed {
            assert_eq!(acted.ended.is_ok(), *what == wanted, "round {round}: {acted:#?}");
        }
        let group = site.group(decision).await;
        let made: Vec<&str> = group.keys().map(String::as_str).filter(|name| name.starts_with("test-")).collect();
        assert_eq!(made, [format!("test-{wanted}-0")], "round {round}");
        assert_eq!(counts(&group)[made[0]], 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_one_task_is_not_for_another() {
    let site = Site::start().await;
    let (decision, labels) = site.push(&layered(1, 2), &["toolchain-a", "toolchain-b", "build-0"]).await;
    let again = |label: &str| {
        let input = json!({"taskgraft": {"key": "again"}});
        ActionAsk { task: Some(labels[label]), ..ask(decision, "cancel", input) }
    };
    for (label, done) in [("build-0", true), ("toolchain-a", false)] {
        let own = told(&site, &again(label), "ann").await;
        let acted = carried_out(&site, own, &again(label)).await;
        assert_eq!(acted.ended.is_ok(), done, "{label}: {acted:#?}");
    }
    assert_ne!(site.client().queue().status(labels["toolchain-a"]).await.unwrap().state, TaskState::Exception);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_key_says_itself_what_it_is_for() {
    let site = Site::start().await;
    let (decision, _) = site.push(&layered(2, 1), &[]).await;
    let listed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&listed);
    site.proxy.rule(move |_, path| {
        count.fetch_add(usize::from(path.contains("/list")), Ordering::SeqCst);
        Fault::None
    });
    let of = |label: &str| json!({"tasks": [label]});
    let reserved = Reserved::sealed("drawn", None, &of("test-0-0")).unwrap();
    let asked = |input: Value| ask(decision, "add-new-jobs", add(input, &reserved).unwrap());
    for _ in 0..2 {
        let own = told(&site, &asked(of("test-0-0")), "ann").await;
        assert_eq!(carried_out(&site, own, &asked(of("test-0-0"))).await.report().result, Terminal::Done);
    }
    assert_eq!(listed.load(Ordering::SeqCst), 0, "nobody has to look through the group");
    let own = told(&site, &asked(of("test-1-0")), "ann").await;
    let error = carried_out(&site, own, &asked(of("test-1-0"))).await.error();
    assert!(error.contains("it is for another input"), "{error}");
    site.proxy.heal();
    let group = site.group(decision).await;
    assert_eq!((counts(&group)["test-0-0"], group.contains_key("test-1-0")), (1, false));
}
