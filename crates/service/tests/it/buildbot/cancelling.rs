//! Builds are taken back.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_leaves_no_build_running() {
    let buildbot = Buildbot::start(&[("long", LONG), ("waits", LONG)], &[]);
    let master = master(settings(buildbot.url()));
    let wanted = wanted("CANCEL", &["long", "waits"], 2);
    assert!(carry(&master, &wanted).await.iter().all(|report| report.outcome == Outcome::Forced));
    assert_eq!(master.cancel(&self::wanted("OTHER", &["long"], 1), &[]).await.unwrap(), []);
    assert_eq!(master.cancel(&wanted, &[]).await.unwrap().len(), 4);
    until(&master, &wanted, |builds| builds.iter().all(|build| build.ended == Some("cancelled"))).await;
    assert_eq!(master.cancel(&wanted, &[]).await.unwrap().len(), 4, "who asks again is told of all of them");
    assert_eq!(master.cancel(&Wanted { undone: 1, ..wanted.clone() }, &[]).await.unwrap(), []);
    // Wanted after all, all of it is built anew, once.
    assert!(
        carry(&master, &wanted).await.iter().all(|report| report.outcome == Outcome::Found),
        "nobody wanted it undone"
    );
    let wanted = Wanted { undone: 1, ..wanted };
    for outcome in [Outcome::Forced, Outcome::Found] {
        let reports = carry(&master, &wanted).await;
        assert_eq!(reports.len(), 4);
        assert!(reports.iter().all(|report| (report.outcome, &report.result) == (outcome, &None)), "{reports:?}");
    }
    // Also while what was taken back goes on.
    let wanted = Wanted { undone: 2, ..wanted };
    assert!(carry(&master, &wanted).await.iter().all(|report| report.outcome == Outcome::Forced));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_master_does_not_cancel_keeps_no_other_build_from_it() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("one", LONG), ("two", LONG), ("three", LONG)], &[]));
    proxy.forward_to(buildbot.address());
    let (master, wanted) = (master(settings(proxy.url())), wanted("KEPT", &["one", "two", "three"], 1));
    carry(&master, &wanted).await;
    let builds = master.find(&wanted.request, wanted.received).await.unwrap();
    let kept = format!("/api/v2/buildrequests/{}", builds[0].request);
    proxy.rule(move |_, path| if path == kept { Fault::Status(403) } else { Fault::None });
    let refused = master.cancel(&wanted, &[]).await.unwrap_err();
    assert!(refused.to_string().starts_with("cancel 1 of 3 builds: 403"), "{refused}");
    let builds = until(&master, &wanted, |builds| builds[1..].iter().all(|build| build.ended.is_some())).await;
    assert_eq!(builds[0].ended, None);
    // Who is away may do it later.
    proxy.rule(|method, _| if method == "POST" { Fault::Status(503) } else { Fault::None });
    assert!(master.cancel(&wanted, &[]).await.unwrap_err().passes());
    proxy.heal();
    assert_eq!(master.cancel(&wanted, &[]).await.unwrap().len(), 3);
}
