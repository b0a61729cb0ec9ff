//! Finding a request's builds again, by the reason of their buildsets.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use taskgraft_core::ids::RequestId;

use super::answers::{self, Buildrequest, Buildrequests, Builds, Buildsets};
use super::report::Place;
use super::{Error, Mark, Master, Wanted};

/// The most buildsets that one request is looked for in, and the most build requests that they may have. Of both a
/// request has less.
const MAX_SETS: usize = 500;
const MAX_REQUESTS: usize = 5000;
/// How many things one question is about: more would make its line longer than servers take.
const TOGETHER: usize = 100;
/// How many questions are asked at once.
const AT_ONCE: usize = 8;
/// A master's clock may differ by so much.
const SKEW: SignedDuration = SignedDuration::from_hours(24);
/// The pauses before each look for a build that may have been forced: a request may still be on its way.
pub(super) const LOOKS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

/// A build that was forced, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forced {
    /// Its builder.
    pub builder: String,
    /// Which copy it is, from 1.
    pub copy: u32,
    /// How often the request had been undone when it was forced.
    pub undone: u32,
    /// The number of its build request.
    pub request: u64,
    /// Where people see it: the build, or its request while there is none.
    pub url: String,
    /// How it ended: `success`, `warnings`, `failure`, `skipped`, `exception`, `retry` or `cancelled`; none before.
    pub ended: Option<&'static str>,
}

impl Forced {
    pub(super) fn place(&self) -> Place<'_> {
        (&self.builder, self.copy)
    }

    /// Whether it was cancelled, by whomever.
    pub(super) fn is_cancelled(&self) -> bool {
        self.ended == Some("cancelled")
    }
}

impl Master {
    /// The builds of a request, by the reason of their buildsets. Those before `received` are not looked at.
    ///
    /// # Errors
    /// If the master can't say.
    pub async fn find(&self, request: &RequestId, received: Timestamp) -> Result<Vec<Forced>, Error> {
        let since = received.checked_sub(SKEW).unwrap_or(received).as_second().to_string();
        // Its `contains` is SQL's LIKE: what it finds is looked at again.
        let most = MAX_SETS.to_string();
        let query = [
            ("reason__contains", request.as_str()),
            ("submitted_at__ge", &since),
            ("order", "-bsid"),
            ("limit", &most),
        ];
        let sets = self.get::<Buildsets>("buildsets", &["api", "v2", "buildsets"], &query).await?.buildsets;
        let marks: BTreeMap<u64, Mark> = sets
            .iter()
            .take(MAX_SETS)
            .filter_map(|set| Mark::find(&set.reason).map(|mark| (set.bsid, mark)))
            .filter(|(_, mark)| mark.request == *request)
            .collect();
        let bsids: Vec<u64> = marks.keys().copied().collect();
        let requests: Vec<Buildrequests> = self.each("buildrequests", "buildsetid", &bsids, &[]).await?;
        let requests = requests.into_iter().flat_map(|answer| answer.buildrequests);
        let ours = requests.filter(|request| marks.contains_key(&request.buildsetid));
        let requests: Vec<Buildrequest> = ours.take(MAX_REQUESTS).collect();
        let numbers = self.numbers_of(&requests).await?;
        let mut found = self.told(requests, &marks, &numbers).await?;
        found.sort_by(|one, other| one.place().1.cmp(&other.copy).then_with(|| one.builder.cmp(&other.builder)));
        Ok(found)
    }

    /// A request's builds, unless somebody else has just found that the master is away. What was `coming` when that was
    /// last heard of may still be on its way, and is given its time.
    ///
    /// # Errors
    /// If the master can't say, or is known to be away.
    pub(super) async fn look(&self, wanted: &Wanted, coming: &[Place<'_>]) -> Result<Vec<Forced>, Error> {
        let mut found = Vec::new();
        for pause in LOOKS {
            self.config.clock.sleep(pause).await;
            self.outage.check(self.config.clock.now())?;
            let looked = self.find(&wanted.request, wanted.received).await;
            self.outage.learn(self.config.clock.now(), &looked);
            found = looked?;
            if coming.iter().all(|(_, copy)| has_come(&found, wanted, coming, *copy)) {
                break;
            }
        }
        Ok(found)
    }

    /// The numbers of the newest builds of those build requests that have any, by their request.
    async fn numbers_of(&self, requests: &[Buildrequest]) -> Result<HashMap<u64, u64>, Error> {
        let claimed = requests.iter().filter(|request| request.claimed);
        let mut claimed: Vec<u64> = claimed.map(|request| request.buildrequestid).collect();
        claimed.sort_unstable();
        let fields = [("field", "buildrequestid"), ("field", "number")];
        let builds: Vec<Builds> = self.each("builds", "buildrequestid", &claimed, &fields).await?;
        let mut numbers = HashMap::new();
        for build in builds.into_iter().flat_map(|answer| answer.builds) {
            let newest = numbers.entry(build.buildrequestid).or_insert(build.number);
            *newest = build.number.max(*newest);
        }
        Ok(numbers)
    }

    /// All of a collection whose `field` is one of these numbers, which are in order: many at once.
    ///
    /// A master that doesn't know `in` passes over it: the range keeps its answer short, but it may have more.
    async fn each<T: DeserializeOwned>(
        &self,
        collection: &'static str,
        field: &str,
        numbers: &[u64],
        more: &[(&str, &str)],
    ) -> Result<Vec<T>, Error> {
        let (from, to, one_of) = (format!("{field}__ge"), format!("{field}__le"), format!("{field}__in"));
        let questions = numbers.chunks(TOGETHER).map(|numbers| async {
            let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let bounds = texts.first().map(|first| (from.as_str(), first.as_str())).into_iter();
            let bounds = bounds.chain(texts.last().map(|last| (to.as_str(), last.as_str())));
            let query: Vec<(&str, &str)> = bounds
                .chain(texts.iter().map(|text| (one_of.as_str(), text.as_str())))
                .chain(more.iter().copied())
                .collect();
            self.get(collection, &["api", "v2", collection], &query).await
        });
        // Collected first: as iterators they would make the whole a future that can't be spawned.
        let questions: Vec<_> = questions.collect();
        stream::iter(questions).buffered(AT_ONCE).try_collect().await
    }

    /// Build requests with the names of their builders and where people see them.
    pub(super) async fn told(
        &self,
        requests: Vec<Buildrequest>,
        marks: &BTreeMap<u64, Mark>,
        numbers: &HashMap<u64, u64>,
    ) -> Result<Vec<Forced>, Error> {
        let known = self.known().await?;
        let base = self.settings.url.trim_end_matches('/');
        let told = |request: Buildrequest| {
            let (builder, id) = (request.builderid, request.buildrequestid);
            let mark = marks.get(&request.buildsetid)?;
            Some(Forced {
                builder: known.names.get(&builder).cloned().unwrap_or_else(|| format!("builder {builder}")),
                copy: mark.copy,
                undone: mark.undone,
                request: id,
                url: match numbers.get(&id) {
                    Some(number) => format!("{base}/#/builders/{builder}/builds/{number}"),
                    None => format!("{base}/#/buildrequests/{id}"),
                },
                ended: answers::result(request.complete, request.results),
            })
        };
        Ok(requests.into_iter().filter_map(told).collect())
    }
}

/// Whether what was coming of a copy is there: it was forced together, so one of it is enough.
fn has_come(found: &[Forced], wanted: &Wanted, coming: &[Place<'_>], copy: u32) -> bool {
    found.iter().any(|forced| forced.copy == copy && forced.undone == wanted.undone && coming.contains(&forced.place()))
}
