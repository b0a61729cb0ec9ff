//! What masters are asked, and what they answer.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn all_builds_are_looked_for_at_once() {
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("one", OK), ("two", OK)], &[]));
    proxy.forward_to(buildbot.address());
    let master = master(settings(proxy.url()));
    let (first, second) = (wanted("FIRST", &["one", "two"], 2), wanted("SECOND", &["one"], 2));
    // One copy each in turn, so that none has its builds in a row.
    for copies in 1..=2 {
        for wanted in [&first, &second] {
            let builds = Builds { copies: copies.min(wanted.builds.copies), ..wanted.builds.clone() };
            carry(&master, &Wanted { builds, ..wanted.clone() }).await;
        }
    }
    for (wanted, count) in [(&first, 4), (&second, 2)] {
        until(&master, wanted, |builds| builds.iter().all(|build| build.ended.is_some())).await;
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        proxy.rule(move |_, path| {
            seen.lock().unwrap().push(path.to_owned());
            Fault::None
        });
        let builds = master.find(&wanted.request, wanted.received).await.unwrap();
        assert_eq!(builds.len(), count, "{builds:?}");
        assert!(builds.iter().all(|build| build.url.contains("/builds/")), "{builds:?}");
        let calls = calls.lock().unwrap();
        assert_eq!(*calls, ["/api/v2/buildsets", "/api/v2/buildrequests", "/api/v2/builds"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hangs_is_not_waited_for_by_who_wants_to_know_its_builders() {
    let proxy = Proxy::start();
    proxy.rule(|_, _| Fault::Silence);
    // For longer than this test may take.
    let config = Config { timeout: LONGEST * 10, ..patient(1) };
    let master = Arc::new(Master::new(settings(proxy.url()), Some(PASSWORD.to_owned()), config).unwrap());
    for _ in 0..2 {
        let offers = tokio::time::timeout(LONGEST, buildbot::offers(std::slice::from_ref(&master))).await;
        assert!(matches!(offers.unwrap().as_slice(), [Builders::Silent(_)]));
    }
    // Who wants something built waits as little.
    let reports = tokio::time::timeout(LONGEST, carry(&master, &wanted("HANGS", &["good"], 1))).await.unwrap();
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Failed)], true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_leads_elsewhere_is_not_followed_there() {
    let (elsewhere, visits) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned());
    let leads = format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}/x?s3cret\r\ncontent-length: 0\r\n\r\n");
    let master = self::master(settings(answering(leads).0));
    let reports = carry(&master, &wanted("AWAY", &["good"], 1)).await;
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Failed)], false));
    let reason = reports[0].reason.as_ref().unwrap();
    assert!(reason.ends_with(&format!("302: the answer leads elsewhere, to {elsewhere}")), "{reason}");
    assert_eq!(visits.load(SeqCst), 0, "somebody else was asked, with a password");
    // One that leads elsewhere only who wants something of it has forced nothing.
    let (proxy, buildbot) = (Proxy::start(), Buildbot::start(&[("good", OK)], &[]));
    proxy.forward_to(buildbot.address());
    proxy.rule(|method, _| if method == "POST" { Fault::Status(307) } else { Fault::None });
    let master = self::master(settings(proxy.url()));
    let reports = carry(&master, &wanted("FORCE", &["good"], 1)).await;
    assert_eq!((outcomes(&reports), reports[0].waits), (vec![("good", 1, Outcome::Failed)], false), "{reports:?}");
    assert!(reports[0].reason.as_ref().unwrap().contains("307"), "{reports:?}");
    assert_eq!(reasons(&buildbot).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hostile_master_says_is_cut_and_shows_no_login() {
    let login = "Authorization: Basic Zm9yY2VyOnMzY3JldA==";
    let said = format!("{{\"message\": \"{login} {}\"}}", "x".repeat(1 << 20));
    let answer = format!("HTTP/1.1 404 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}", said.len());
    let master = master(settings(answering(answer).0));
    let reports = carry(&master, &wanted("HOSTILE", &["good"], 1)).await;
    let reason = reports[0].reason.as_ref().unwrap();
    assert!(reason.len() < 1000 && reason.contains("Basic …") && !reason.contains("Zm9yY2Vy"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_master_refuses_is_told_in_its_words() {
    let buildbot = Buildbot::start(&[("good", OK), ("unserved", OK)], &["unserved"]);
    let master = master(settings(buildbot.url()));
    for builder in ["unserved", "nothing-like-it"] {
        let reports = carry(&master, &wanted("REFUSED", &[builder], 1)).await;
        assert_eq!(outcomes(&reports), [(builder, 1, Outcome::Refused)], "{reports:?}");
    }
    // One that can be forced beside one that can't.
    let reports = carry(&master, &wanted("BOTH", &["unserved", "good"], 1)).await;
    assert_eq!(outcomes(&reports), [("unserved", 1, Outcome::Refused), ("good", 1, Outcome::Forced)]);
    assert!(reports[0].reason.as_ref().unwrap().contains("doesn't serve it"), "{reports:?}");
    let nobody = Arc::new(Master::new(settings(buildbot.url()), None, patient(1)).unwrap());
    let reports = carry(&nobody, &wanted("NOBODY", &["good"], 1)).await;
    assert!(reports[0].reason.as_ref().unwrap().contains("403: you need to have role"), "{reports:?}");
    let wrong = Arc::new(Master::new(settings(buildbot.url()), Some("wrong".into()), patient(1)).unwrap());
    let reports = carry(&wrong, &wanted("WRONG", &["good"], 1)).await;
    assert_eq!(reports[0].reason.as_deref(), Some("failed to log in as `forcer`: 401"));
    let elsewhere = self::master(config::Buildbot { scheduler: "none".into(), ..settings(buildbot.url()) });
    assert!(matches!(elsewhere.builders().await, Err(Error::NoScheduler(_))));
    assert_eq!(reasons(&buildbot).await.len(), 1, "nothing else was forced");
}

#[tokio::test(flavor = "multi_thread")]
async fn builders_with_hostile_names_are_builders() {
    let commands: Vec<(&str, &[&str])> = HOSTILE.iter().map(|name| (*name, OK)).collect();
    let buildbot = Buildbot::start(&commands, &[]);
    let master = master(settings(buildbot.url()));
    assert_eq!(sorted(master.builders().await.unwrap()), sorted(HOSTILE.map(str::to_owned).to_vec()));
    for (n, name) in HOSTILE.iter().enumerate() {
        let reports = carry(&master, &wanted(&format!("H{n}"), &[name], 1)).await;
        assert_eq!(outcomes(&reports), [(*name, 1, Outcome::Forced)], "{reports:?}");
        let found = master.find(&request(&format!("H{n}")), Timestamp::now()).await.unwrap();
        assert_eq!(found.iter().map(|found| found.builder.as_str()).collect::<Vec<_>>(), [*name]);
    }
    // Names are texts, not patterns: one `*` is one builder.
    assert_eq!(reasons(&buildbot).await.len(), HOSTILE.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_password_is_refused_once() {
    let (url, calls) = answering("HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned());
    let nobody = Master::new(settings(url), None, patient(1)).unwrap();
    assert!(nobody.find(&request("NOBODY"), Timestamp::now()).await.is_err());
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_is_not_tried_by_each_who_waits_for_it() {
    let (proxy, logins) = (Proxy::start(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&logins);
    proxy.rule(move |_, path| {
        seen.fetch_add(usize::from(path == "/auth/login"), SeqCst);
        Fault::Status(503)
    });
    let master = Master::new(settings(proxy.url()), Some(PASSWORD.to_owned()), patient(1)).unwrap();
    let (id, now) = (request("MANY"), Timestamp::now());
    let found = futures_util::future::join_all((0..10).map(|_| master.find(&id, now))).await;
    assert!(found.iter().all(Result::is_err), "{found:?}");
    assert_eq!(logins.load(SeqCst), 1);
}
