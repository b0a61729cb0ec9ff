//! Builds are forced once, whatever is lost or cut off on the way.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn builders_are_forced_once_and_followed_to_their_end() {
    let buildbot = Buildbot::start(&[("good", OK), ("bad", BAD), ("unserved", OK)], &["unserved"]);
    let master = master(config::Buildbot { follow: Duration::from_secs(60), ..settings(buildbot.url()) });
    assert_eq!(sorted(master.builders().await.unwrap()), ["bad", "good"]);
    let wanted = wanted("R1", &["good", "bad"], 2);
    let reports = carry(&master, &wanted).await;
    let forced = Outcome::Forced;
    assert_eq!(outcomes(&reports), [("good", 1, forced), ("bad", 1, forced), ("good", 2, forced), ("bad", 2, forced)]);
    assert!(reports.iter().all(|report| report.waits), "nobody has waited for them");
    let reports = to_the_end(&master, &wanted, reports).await;
    assert!(reports.iter().all(|report| report.outcome == forced), "{reports:?}");
    let results: Vec<_> = reports.iter().map(|report| report.result.as_deref().unwrap()).collect();
    assert_eq!(results, ["success", "failure", "success", "failure"]);
    for report in &reports {
        let url = report.url.as_ref().unwrap();
        assert!(url.starts_with(&format!("{}/#/builders/", buildbot.url())) && url.contains("/builds/"), "{url}");
    }
    // Again, and by a process that has forgotten everything: what is there is found.
    for master in [&master, &self::master(settings(buildbot.url()))] {
        assert!(carry(master, &wanted).await.iter().all(|report| report.outcome == Outcome::Found));
    }
    let reasons = reasons(&buildbot).await;
    let mut marks: Vec<String> = reasons.iter().map(|reason| Mark::find(reason).unwrap().to_string()).collect();
    marks.sort();
    assert_eq!(marks, ["taskgraft request R1 copy 1", "taskgraft request R1 copy 2"]);
    assert!(reasons[0].contains(USER), "Buildbot says who forced it: {reasons:?}");
    // Another request whose id differs only where SQL's LIKE doesn't look closely.
    assert!(master.find(&request("r1"), wanted.received).await.unwrap().is_empty());
    assert!(master.find(&request("R_"), wanted.received).await.unwrap().is_empty());
    let later = wanted.received + SignedDuration::from_hours(48);
    assert!(master.find(&wanted.request, later).await.unwrap().is_empty(), "older than the request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_whose_answer_is_lost_is_found_and_not_repeated() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    for (id, fault) in [("LOST", Fault::LostAnswer), ("GATEWAY", Fault::BadGateway)] {
        proxy.rule(move |method, _| if method == "POST" { fault } else { Fault::None });
        let reports = carry(&master, &wanted(id, &["good"], 1)).await;
        assert_eq!(outcomes(&reports), [("good", 1, Outcome::Forced)], "{fault:?}: {reports:?}");
    }
    assert_eq!(reasons(&buildbot).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_killed_between_force_and_answer_has_the_build_when_it_is_back() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let patient = Retry { tries: 1000, cap: Duration::from_millis(50), ..Retry::default() };
    let config = Config { retry: patient, ..Config::new("http://unused.example.com") };
    let master = Arc::new(Master::new(settings(proxy.url()), Some(PASSWORD.to_owned()), config).unwrap());
    proxy.rule(|method, _| if method == "POST" { Fault::LateAnswer } else { Fault::None });
    let carrying = tokio::spawn(async move { carry(&master, &wanted("KILLED", &["good"], 1)).await });
    tokio::task::block_in_place(|| assert!(proxy.held(|| carrying.is_finished())));
    // The build is asked for, and its answer on the way.
    tokio::task::block_in_place(|| {
        buildbot.kill();
        proxy.rule(|_, _| Fault::Reset);
        buildbot.restart();
        proxy.forward_to(buildbot.address());
        proxy.heal();
    });
    let reports = carrying.await.unwrap();
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Forced)], "{reports:?}");
    assert_eq!(reasons(&buildbot).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_that_may_be_on_its_way_is_reported_as_unclear_and_settled_when_tried_again() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    let wanted = wanted("UNCLEAR", &["good"], 1);
    let mut posts = 0;
    proxy.rule(move |method, _| {
        posts += usize::from(method == "POST");
        assert!(posts <= 1, "forced again without a word");
        if method == "POST" { Fault::Reset } else { Fault::None }
    });
    let reports = carry(&master, &wanted).await;
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Unclear)]);
    assert!(reports[0].reason.as_ref().unwrap().contains("not forced again by itself"), "{reports:?}");
    proxy.heal();
    assert_eq!(outcomes(&carry(&master, &wanted).await), [("good", 1, Outcome::Forced)]);
    assert_eq!(reasons(&buildbot).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_down_is_said_to_be() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let master = master(settings(buildbot.url()));
    buildbot.kill();
    let offers = buildbot::offers(std::slice::from_ref(&master)).await;
    assert!(matches!(offers.as_slice(), [Builders::Silent(_)]));
    let names = ["good".to_owned(), "label".to_owned()];
    let split = buildbot::split(&names, |name| name == "label", &offers);
    assert_eq!(split.builders, BTreeMap::from([(0, vec!["good".to_owned()])]), "it may be its builder");
    let wanted = wanted("DOWN", &["good"], 1);
    let reports = carry(&master, &wanted).await;
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Failed)], true));
    assert!(reports[0].reason.as_ref().unwrap().contains("no connection to http://127.0.0.1"), "{reports:?}");
    // Who comes next is not kept waiting.
    let begun = Instant::now();
    assert_eq!(again(&master, &wanted, &reports).await, reports);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_comes_back_is_asked_for_what_waits_and_only_for_that() {
    let buildbot = Buildbot::start(&[("good", OK), ("other", OK)], &[]);
    let proxy = Proxy::start();
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    let wanted = wanted("BACK", &["good", "other"], 1);
    proxy.rule(|_, _| Fault::Status(503));
    let mut reports = carry(&master, &wanted).await;
    assert!(reports.iter().all(|report| report.waits && report.outcome == Outcome::Failed), "{reports:?}");
    // Of one the last word was said before.
    reports[1].waits = false;
    proxy.heal();
    let reports = to_the_end(&master, &wanted, reports).await;
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Forced), ("other", 1, Outcome::Failed)]);
    assert_eq!(reasons(&buildbot).await.len(), 1);
    // What was told stands while the master is away.
    proxy.rule(|_, _| Fault::Status(503));
    assert_eq!(again(&master, &wanted, &reports).await, reports);
    // And when it is in the configuration no more.
    assert_eq!(buildbot::carry(&[], &wanted, &reports, &|_| Box::pin(async { true })).await, reports);
    let gone = buildbot::carry(&[], &wanted, &[], &|_| Box::pin(async { true })).await;
    assert!(gone.iter().all(|report| report.outcome == Outcome::Refused && !report.waits), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_forced_any_more_once_the_request_is_not_to_go_on() {
    let buildbot = Buildbot::start(&[("good", OK)], &[]);
    let (master, wanted) = (master(settings(buildbot.url())), wanted("STOP", &["good"], 5));
    let asked = AtomicUsize::new(0);
    let go_on = |_| -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> {
        Box::pin(std::future::ready(asked.fetch_add(1, SeqCst) < 2))
    };
    let reports = buildbot::carry(std::slice::from_ref(&master), &wanted, &[], &go_on).await;
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Forced), ("good", 2, Outcome::Forced)]);
    assert!(!wanted.builds.are_settled(&reports));
    assert_eq!(reasons(&buildbot).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_about_to_be_forced_when_it_was_cut_off_is_waited_for_and_not_forced_again() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("good", OK), ("long", LONG)], &[]));
    proxy.forward_to(buildbot.address());
    let (slow, direct) = (master(settings(proxy.url())), master(settings(buildbot.url())));
    let (wanted, unwanted) = (wanted("CUT", &["good"], 1), wanted("BACK", &["long"], 1));
    let written = about(&slow, &wanted).await;
    assert_eq!((outcomes(&written), written[0].waits), (vec![("good", 1, Outcome::Unclear)], true));
    assert_eq!(reasons(&buildbot).await.len(), 0, "it is only written down");
    // What was on its way comes after whoever goes on, or takes it back, has looked once.
    let coming = written[0].clone();
    for (wanted, takes_back) in [(&wanted, false), (&unwanted, true)] {
        let seen = Arc::new(AtomicUsize::new(0));
        let looks = Arc::clone(&seen);
        proxy.rule(move |_, path| {
            looks.fetch_add(usize::from(path == "/api/v2/buildsets"), SeqCst);
            Fault::None
        });
        let builders = wanted.builds.builders["old"].clone();
        let told = BuildReport { builder: builders[0].clone(), ..coming.clone() };
        let mark = Mark { request: wanted.request.clone(), copy: 1, undone: 0 };
        let comes = async {
            while seen.load(SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            direct.force(&mark, wanted.received, &builders, &wanted.builds.build).await.unwrap();
        };
        if takes_back {
            let coming = [(builders[0].as_str(), 1)];
            let (cancelled, ()) = tokio::join!(slow.cancel(wanted, &coming), comes);
            assert_eq!(cancelled.unwrap().len(), 1);
        } else {
            let (reports, ()) = tokio::join!(again(&slow, wanted, std::slice::from_ref(&told)), comes);
            assert_eq!(outcomes(&reports), [("good", 1, Outcome::Found)], "{reports:?}");
        }
    }
    assert_eq!(reasons(&buildbot).await.len(), 2);
    // What never comes is nobody's to force again but who tries the request again.
    let lost = self::wanted("LOST", &["good"], 1);
    let reports = again(&slow, &lost, &written).await;
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Unclear)], false));
    assert!(reports[0].reason.as_ref().unwrap().ends_with("is not forced again by itself"), "{reports:?}");
    assert_eq!(reasons(&buildbot).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_build_of_the_same_copy_does_not_settle_a_force() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("good", OK), ("other", OK)], &[]));
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    carry(&master, &wanted("PART", &["good"], 1)).await;
    proxy.rule(|method, _| if method == "POST" { Fault::Reset } else { Fault::None });
    let reports = carry(&master, &wanted("PART", &["good", "other"], 1)).await;
    assert_eq!(outcomes(&reports), [("good", 1, Outcome::Found), ("other", 1, Outcome::Unclear)], "{reports:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_that_succeeded_is_never_called_a_failure() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("good", OK)], &[]));
    proxy.forward_to(buildbot.address());
    let (master, wanted) = (master(settings(proxy.url())), wanted("NAMES", &["good"], 1));
    proxy.rule(|_, path| if path == "/api/v2/builders" { Fault::Status(503) } else { Fault::None });
    let mark = Mark { request: wanted.request.clone(), copy: 1, undone: 0 };
    let names = &wanted.builds.builders["old"];
    let forced = master.force(&mark, wanted.received, names, &wanted.builds.build).await;
    assert!(matches!(&forced, Err(Error::Unlooked { .. })), "{forced:?}");
    assert_eq!(reasons(&buildbot).await.len(), 1);
}
