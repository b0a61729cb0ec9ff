//! Consuming and publishing, against a real RabbitMQ.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use taskgraft_client::pulse::{
    Address, Binding, Broker, Consumer, Delivery, Error, Link, Outgoing, Publisher, Subscription, Topology,
};
use taskgraft_testkit::LATE;
use taskgraft_testkit::rabbit::{self, PULSE_USER, Rabbit};
use taskgraft_testkit::relay::Relay;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

fn broker(url: &str) -> Broker {
    Broker::new(url.parse().unwrap(), b"").unwrap()
}

/// An exchange and a queue of a test's own.
struct Names {
    exchange: String,
    queue: String,
}

fn names(broker: &Broker, test: &str) -> Names {
    let (user, unique) = (broker.address().user(), rand::random::<u64>());
    Names { exchange: format!("exchange/{user}/{test}-{unique}"), queue: format!("queue/{user}/{test}-{unique}") }
}

fn topology(names: &Names) -> Topology {
    Topology {
        exchanges: vec![names.exchange.clone()],
        queues: vec![names.queue.clone()],
        bindings: vec![Binding {
            queue: names.queue.clone(),
            exchange: names.exchange.clone(),
            routing_key: "#".to_owned(),
        }],
        ..Topology::default()
    }
}

fn subscription(names: &Names) -> Subscription {
    Subscription { queue: names.queue.clone(), topology: topology(names), prefetch: 10 }
}

fn message(names: &Names, n: usize) -> Outgoing {
    Outgoing {
        exchange: names.exchange.clone(),
        routing_key: "lander.add".to_owned(),
        message_id: Some(n.to_string()),
        body: format!("{{\"n\":{n}}}").into_bytes(),
        ..Outgoing::default()
    }
}

async fn next(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(LATE, consumer.next()).await.expect("a message in time").unwrap()
}

/// Publishes until it is confirmed, as a caller does.
async fn publish(publisher: &mut Publisher, message: Outgoing) {
    let until = async {
        while let Err(error) = publisher.publish(std::slice::from_ref(&message)).await {
            assert!(error.is_transient(), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LATE, until).await.expect("a confirmation in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_delivered_whole_and_again_until_it_is_acknowledged() {
    let broker = broker(&rabbit::shared());
    let names = names(&broker, "whole");
    let mut publisher = broker.publisher(topology(&names));
    let sent = Outgoing { cc: vec!["route.a".to_owned(), "route.é".to_owned()], ..message(&names, 1) };
    publisher.publish(&[sent.clone(), message(&names, 2)]).await.unwrap();
    let mut consumer = broker.consume(subscription(&names));
    let first = next(&mut consumer).await;
    assert_eq!((&first.exchange, &first.routing_key, &first.cc), (&sent.exchange, &sent.routing_key, &sent.cc));
    assert_eq!((&first.message_id, &first.body, first.redelivered), (&sent.message_id, &sent.body, false));
    assert!(next(&mut consumer).await.ack().await);
    consumer.close().await;
    let mut consumer = broker.consume(subscription(&names));
    let again = next(&mut consumer).await;
    assert_eq!((again.message_id.as_deref(), again.redelivered), (Some("1"), true));
    assert!(again.give_back().await);
    assert!(next(&mut consumer).await.ack().await);
    let nothing = tokio::time::timeout(Duration::from_millis(300), consumer.next()).await;
    assert!(nothing.is_err(), "the second was acknowledged");
    consumer.close().await;
    publisher.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_become_better_by_waiting_is_said_at_once() {
    let good = broker(&rabbit::shared());
    let names = names(&good, "refused");
    let strangers = good.address().clone().with_password("s3cret".to_owned());
    let wrong = Broker::new(strangers, b"").unwrap();
    let error = wrong.consume(subscription(&names)).next().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && !error.to_string().contains("s3cret"), "{error}");
    let missing = Topology { exchanges: vec![], ..topology(&names) };
    let error = good.consume(Subscription { topology: missing, ..subscription(&names) }).next().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(&names.exchange), "{error}");
    let mut publisher = good.publisher(Topology { bindings: vec![], ..topology(&names) });
    let lost = Outgoing { mandatory: true, ..message(&names, 1) };
    assert!(matches!(publisher.publish(&[lost]).await, Err(Error::Unroutable { .. })));
    let long = Outgoing { routing_key: "x".repeat(256), ..message(&names, 1) };
    assert!(matches!(publisher.publish(&[long]).await, Err(Error::TooLong(256))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_pulse_needs_no_more_than_pulse_gives() {
    // A broker of its own: the user is one of those that the test's broker is made with.
    let rabbit = Rabbit::start();
    let (theirs, ours) = (broker(&rabbit.url()), broker(&rabbit.pulse_url()));
    let their_names = names(&theirs, "theirs");
    let mut publisher =
        theirs.publisher(Topology { exchanges: vec![their_names.exchange.clone()], ..Topology::default() });
    publisher.publish(&[message(&their_names, 0)]).await.unwrap();
    let queue = names(&ours, "mine").queue;
    assert!(queue.starts_with(&format!("queue/{PULSE_USER}/")));
    let binding =
        Binding { queue: queue.clone(), exchange: their_names.exchange.clone(), routing_key: "lander.*".to_owned() };
    let topology =
        Topology { exchanges: vec![], queues: vec![queue.clone()], bindings: vec![binding], ..Topology::default() };
    let mut consumer = ours.consume(Subscription { queue, topology, prefetch: 1 });
    let mut link = consumer.link();
    let consuming = tokio::spawn(async move { next(&mut consumer).await.message_id });
    link.wait_for(|link| *link == Link::Connected).await.unwrap();
    publisher.publish(&[message(&their_names, 1)]).await.unwrap();
    assert_eq!(consuming.await.unwrap().as_deref(), Some("1"));
    let error = ours.publisher(Topology { exchanges: vec![their_names.exchange], ..Topology::default() });
    let error = { error }.publish(&[]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_loses_nothing_that_it_confirmed() {
    let rabbit = Rabbit::start();
    let broker = broker(&rabbit.url());
    let names = names(&broker, "killed");
    let (mut publisher, mut consumer) = (broker.publisher(topology(&names)), broker.consume(subscription(&names)));
    let publishing = async {
        for n in 0..300 {
            publish(&mut publisher, message(&names, n)).await;
        }
    };
    let consuming = async {
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 300 {
            let delivery = next(&mut consumer).await;
            seen.insert(delivery.message_id.clone().unwrap());
            delivery.ack().await;
        }
    };
    let killing = async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            tokio::task::block_in_place(|| {
                rabbit.kill();
                rabbit.restart();
            });
        }
    };
    // The consumer's own link tells that it was lost; that all are seen tells that it came back.
    tokio::join!(killing, publishing, consuming);
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_in_an_acknowledgement_is_made_again_and_the_message_comes_again() {
    let direct: Address = rabbit::shared().parse().unwrap();
    let upstream = direct.to_string();
    let upstream = upstream.rsplit('@').next().unwrap().split('/').next().unwrap();
    let relay = Relay::start(std::net::ToSocketAddrs::to_socket_addrs(upstream).unwrap().next().unwrap());
    let through = rabbit::shared().replace(upstream, &relay.address().to_string());
    let broker = broker(&through);
    let names = names(&broker, "cut");
    let mut publisher = broker.publisher(topology(&names));
    let messages: Vec<_> = (0..5).map(|n| message(&names, n)).collect();
    publisher.publish(&messages).await.unwrap();
    relay.cut_after_acks(2);
    let mut consumer = broker.consume(subscription(&names));
    let mut seen = std::collections::BTreeMap::new();
    // The last to come is one whose acknowledgement was cut, or was lost with the connection after that.
    while relay.cuts() == 0 || seen.len() < 5 || !seen.values().any(|redelivered| *redelivered) {
        let delivery = next(&mut consumer).await;
        delivery.ack().await;
        seen.insert(delivery.message_id.clone().unwrap(), delivery.redelivered);
    }
    assert!(seen["2"], "the third's acknowledgement was cut: {seen:?}");
    assert!(!seen["0"] && !seen["1"], "the first two's were not: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_needs_an_authority_that_vouches_for_the_host() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&authority, &authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        std::fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name).display().to_string()
    };
    let port = rabbit::free_port();
    let rabbit = Rabbit::start_with(&format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}",
        write("ca.pem", certificate.pem()),
        write("cert.pem", server.pem()),
        write("key.pem", key.serialize_pem()),
    ));
    rabbit::until_listening(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), || ());
    let connect = |host: &str, authorities: &str| {
        let address: Address = format!("amqps://guest:guest@{host}:{port}").parse().unwrap();
        Broker::new(address, authorities.as_bytes()).map(|broker| broker.publisher(Topology::default()))
    };
    connect("localhost", &certificate.pem()).unwrap().publish(&[]).await.unwrap();
    let error = connect("127.0.0.1", &certificate.pem()).unwrap().publish(&[]).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "another name: {error}");
    let stranger = authority.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let error = connect("localhost", &stranger.pem()).unwrap().publish(&[]).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "another authority: {error}");
    drop(rabbit);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_broker_that_says_nothing_no_connection_stays() {
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
    for scheme in ["amqp", "amqps"] {
        let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("{scheme}://guest:guest@localhost:{}", silent.local_addr().unwrap().port());
        let broker = Broker::new(address.parse().unwrap(), authority.pem().as_bytes()).unwrap();
        let mut consumer = broker.consume(subscription(&names(&broker, "silent")));
        let accepted = tokio::select! {
            delivery = consumer.next() => panic!("{delivery:?}"),
            accepted = tokio::time::timeout(LATE, silent.accept()) => accepted,
        };
        let (mut connection, _) = accepted.expect("a connection in time").unwrap();
        // Given up, as when it took too long.
        drop(consumer);
        let mut said = Vec::new();
        let ended = tokio::time::timeout(LATE, connection.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "{scheme}: the connection is still open");
    }
}
