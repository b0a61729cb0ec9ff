//! Eight people who want overlapping jobs at once, some of whom die on the way.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use taskgraft_core::ids::derive;
use taskgraft_core::report::Terminal;

use crate::graph::layered;
use crate::site::{SCHEDULER, Site, assert_whole, counts, definition};

#[tokio::test(flavor = "multi_thread")]
async fn eight_requests_share_what_they_need_and_keep_their_copies() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let site = Arc::new(Site::start().await);
    let (decision, scheduled) = site.push(&layered(3, 3), &["toolchain-a", "toolchain-b", "build-0"]).await;
    site.complete(scheduled["toolchain-a"]).await;
    site.complete(scheduled["toolchain-b"]).await;
    site.fail(scheduled["build-0"]).await;
    // An earlier request made the third build, whose first id is thereby taken by what failed.
    site.machine("early").add(decision, &["test-2-0"], "R-early").await.unwrap();
    let build = site.group(decision).await["build-2"][0].status.task_id;
    site.fail(build).await;
    let squatted = derive::copy(&"R0".parse().unwrap(), "test-0-0", 0, 0);
    let squatter = definition(site.now(), decision, SCHEDULER, "squatter", &[]);
    site.client().queue().create_task(squatted, squatter.to_string().into()).await.unwrap();
    let everybody = (0..8).map(|n| {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let mut luck = StdRng::seed_from_u64(seed ^ n);
            let (id, label) = (format!("R{n}"), format!("test-{}-0", n % 2));
            let labels = [label.as_str(), "test-2-1"];
            // Three tries die after some time, each on another machine.
            for n in 0..3 {
                let machine = site.machine(&format!("{id}-{n}"));
                let patience = std::time::Duration::from_millis(luck.random_range(5..400));
                if let Ok(report) = tokio::time::timeout(patience, machine.add(decision, &labels, &id)).await {
                    return report.unwrap();
                }
            }
            site.machine(&id).add(decision, &labels, &id).await.unwrap()
        })
    });
    for report in futures_util::future::join_all(everybody).await {
        let report = report.unwrap();
        assert_eq!(report.result, Terminal::Done, "seed {seed}: {report:?}");
    }
    let group = site.group(decision).await;
    assert_eq!(
        counts(&group).into_iter().collect::<Vec<_>>(),
        [
            // The one that failed, and one that everybody shares.
            ("build-0", 2),
            ("build-1", 1),
            ("build-2", 2),
            ("squatter", 1),
            ("test-0-0", 4),
            ("test-1-0", 4),
            ("test-2-0", 1),
            ("test-2-1", 8),
            ("toolchain-a", 1),
            ("toolchain-b", 1),
        ],
        "seed {seed}"
    );
    assert_whole(&group, decision);
}
