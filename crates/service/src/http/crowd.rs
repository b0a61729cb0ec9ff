//! Calls that are turned away too often to be told one by one. Anybody can call, from any number of addresses and as often as
//! the network carries, and the audit log has to have all of it: so of each window so many calls are entered by themselves,
//! and the others are counted by who makes them. Whatever comes, a window is a bounded number of entries and of bytes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::rate::Caller;
use crate::journal::Entry;
use crate::request::Door;

/// How many calls of those whom nobody knows are entered by themselves.
const ALONE: u32 = 100;
/// How many of these from one address.
const EACH: u32 = 20;
/// How many addresses, and how many clients, are told apart; all others are counted together.
const APART: usize = 100;

/// The window that goes on.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    alone: u32,
    addresses: Group,
    clients: Group,
}

#[derive(Debug, Default)]
struct Group {
    apart: HashMap<Caller, Counted>,
    others: Counted,
}

/// What was counted of one caller.
#[derive(Debug, Default)]
struct Counted {
    /// How many calls were not counted, but entered by themselves.
    alone: u32,
    /// When the first of the others came.
    since: Option<Instant>,
    /// Whom the last of them claimed to be from.
    claims: Option<String>,
    /// What was asked for, and why it was turned away.
    asked: BTreeMap<&'static str, u64>,
    problems: BTreeMap<&'static str, u64>,
}

/// A call that was turned away.
#[derive(Debug)]
pub(super) struct Turned {
    pub(super) caller: Caller,
    /// The client that it claims to be from.
    pub(super) claims: Option<String>,
    pub(super) endpoint: &'static str,
    pub(super) problem: &'static str,
}

impl Crowd {
    /// Whether one more call from there, of nobody who is known, is to be entered by itself.
    pub(super) fn alone(&self, from: IpAddr) -> bool {
        let window = &mut *self.lock();
        let own = apart(&mut window.addresses.apart, Caller::at(from)).filter(|own| own.alone < EACH);
        let Some(own) = own.filter(|_| window.alone < ALONE) else { return false };
        own.alone += 1;
        window.alone += 1;
        true
    }

    /// Counts a call.
    pub(super) fn count(&self, turned: Turned, now: Instant) {
        let window = &mut *self.lock();
        let group = match turned.caller {
            Caller::Address(_) => &mut window.addresses,
            Caller::Client(_) => &mut window.clients,
        };
        let counted = group.of(turned.caller);
        counted.since.get_or_insert(now);
        counted.claims = turned.claims.or(counted.claims.take());
        *counted.asked.entry(turned.endpoint).or_default() += 1;
        *counted.problems.entry(turned.problem).or_default() += 1;
    }

    /// Ends the window and begins the next: what to enter of what was counted.
    pub(super) fn end(&self, now: Instant) -> Vec<Entry> {
        let Window { addresses, clients, .. } = std::mem::take(&mut *self.lock());
        let mut entries: Vec<Entry> = Vec::new();
        for (group, others) in [(addresses, "somebody at other addresses"), (clients, "other clients")] {
            let told =
                group.apart.into_iter().map(|(caller, counted)| (who(&caller, counted.claims.as_deref()), counted));
            let told = told.chain([(others.to_owned(), group.others)]);
            entries.extend(told.filter_map(|(who, counted)| counted.entry(who, now)));
        }
        entries.sort_by(|a, b| a.who.cmp(&b.who));
        entries
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn of(&mut self, caller: Caller) -> &mut Counted {
        apart(&mut self.apart, caller).unwrap_or(&mut self.others)
    }
}

/// Who is told apart from others, or still can be.
fn apart(from: &mut HashMap<Caller, Counted>, caller: Caller) -> Option<&mut Counted> {
    let can_be = from.len() < APART || from.contains_key(&caller);
    can_be.then(|| from.entry(caller).or_default())
}

impl Counted {
    fn entry(&self, who: String, now: Instant) -> Option<Entry> {
        let seconds = now.saturating_duration_since(self.since?).as_secs() + 1;
        Some(Entry {
            who,
            what: list(&self.asked),
            why: format!("{}; within {seconds} s", list(&self.problems)),
            outcome: "refused".to_owned(),
            door: Some(Door::Http),
            request: None,
        })
    }
}

/// Who it is, in words.
fn who(caller: &Caller, claims: Option<&str>) -> String {
    match caller {
        Caller::Client(client) => client.clone(),
        Caller::Address(address) => stranger(&shown(*address), claims),
    }
}

/// Somebody who is known by an address only, and perhaps by what they say.
pub(super) fn stranger(from: &str, claims: Option<&str>) -> String {
    match claims {
        Some(claims) => format!("somebody at {from} who claims to be {claims}"),
        None => format!("somebody at {from}"),
    }
}

/// Of IPv6, a caller is a network.
fn shown(address: IpAddr) -> String {
    if address.is_ipv6() { format!("{address}/64") } else { address.to_string() }
}

/// What was counted, in words.
fn list(counted: &BTreeMap<&'static str, u64>) -> String {
    let told = counted.iter().map(|(what, count)| match count {
        1 => format!("{what} once"),
        count => format!("{what} {count} times"),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    fn turned(caller: Caller, problem: &'static str) -> Turned {
        Turned { caller, claims: None, endpoint: "ask", problem }
    }

    #[test]
    fn of_one_caller_there_is_one_entry_with_how_many_it_was() {
        let (crowd, begin) = (Crowd::default(), Instant::now());
        let ann = || Some("ann".to_owned());
        for _ in 0..1000 {
            crowd.count(Turned { claims: ann(), ..turned(Caller::at(at(1)), "too-many") }, begin);
        }
        crowd.count(Turned { endpoint: "cancel", ..turned(Caller::at(at(1)), "unsigned") }, begin);
        crowd.count(turned(Caller::Client("bob".to_owned()), "too-many"), begin);
        for host in ["2001:db8::1", "2001:db8::2"] {
            crowd.count(turned(Caller::at(host.parse().unwrap()), "too-many"), begin);
        }
        let entries = crowd.end(begin + Duration::from_millis(59_500));
        let told: Vec<_> =
            entries.iter().map(|entry| [&entry.who, &entry.what, &entry.why].map(String::as_str)).collect();
        assert_eq!(
            told,
            [
                ["bob", "ask once", "too-many once; within 60 s"],
                [
                    "somebody at 0.0.0.1 who claims to be ann",
                    "ask 1000 times, cancel once",
                    "too-many 1000 times, unsigned once; within 60 s"
                ],
                ["somebody at 2001:db8::/64", "ask 2 times", "too-many 2 times; within 60 s"],
            ]
        );
        assert_eq!(crowd.end(begin), [], "a window of its own");
    }

    #[test]
    fn however_many_call_from_however_many_addresses_the_entries_of_a_window_are_bounded_and_none_is_missing() {
        let (crowd, now) = (Crowd::default(), Instant::now());
        let (mut calls, mut alone) = (0, 0);
        for round in 0..30 {
            for n in 0..2000 {
                calls += 1;
                if round % 2 == 0 && crowd.alone(at(n)) {
                    alone += 1;
                } else {
                    crowd.count(turned(Caller::at(at(n)), "unsigned"), now);
                }
                crowd.count(turned(Caller::Client(n.to_string()), "too-many"), now);
                calls += 1;
            }
        }
        let entries = crowd.end(now);
        assert!(alone <= ALONE && entries.len() <= 2 * (APART + 1), "{alone} and {}", entries.len());
        let count = |entry: &Entry| entry.what.split(' ').nth(1).unwrap().parse::<u32>().unwrap();
        assert_eq!(alone + entries.iter().map(count).sum::<u32>(), calls);
        assert!(entries.iter().any(|entry| entry.who == "somebody at other addresses"));
        assert!(entries.iter().any(|entry| entry.who == "other clients"));
    }

    #[test]
    fn one_address_takes_nobody_else_the_entries_that_are_told_one_by_one() {
        let crowd = Crowd::default();
        let alone = |n| (0..1000).filter(|_| crowd.alone(at(n))).count();
        assert_eq!((alone(1), alone(2)), (EACH as usize, EACH as usize));
        assert_eq!((3..100).map(alone).sum::<usize>(), ALONE as usize - 2 * EACH as usize);
        assert_eq!(crowd.end(Instant::now()), [], "nothing was counted");
        assert_eq!(alone(1), EACH as usize, "in the next window again");
    }
}
