//! Look-ups whose answers count for a while: what many previews of one push ask is asked once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use taskgraft_client::{Client, Error};
use taskgraft_core::ids::TaskId;
use taskgraft_core::plan::{Answers, Policy, Request, StatusFact, Wants};
use tokio::sync::OnceCell;

use crate::fetch::Artifacts;
use crate::planner::EarlierWork;
use crate::push::{Push, PushError};
use crate::{Lookups, Memory, Planned, PlannerError, history, lookup, planner};

/// How many bytes what was looked up of a label takes.
const LABEL: u64 = 1024;

/// Pushes that previews are made of. What was looked up about one counts for a while, counted from when it was first
/// asked about, and is forgotten all at once.
#[derive(Debug)]
pub struct Previews {
    client: Client,
    artifacts: Artifacts,
    pushes: Memory<TaskId, Seen>,
}

/// A push, and what was looked up about it.
#[derive(Clone)]
pub struct Seen {
    /// The push.
    pub push: Push,
    lookups: Lookups,
}

/// The answers to look-ups about one push.
pub struct Kept {
    client: Client,
    artifacts: Artifacts,
    earlier: OnceCell<EarlierWork>,
    known: Mutex<Known>,
}

/// What is known, absence included.
#[derive(Default)]
struct Known {
    index: BTreeMap<String, Option<TaskId>>,
    statuses: BTreeMap<TaskId, Option<StatusFact>>,
    tasks: BTreeMap<TaskId, Option<Value>>,
}

impl Previews {
    /// Previews by what `client` sees, each look-up counting for `fresh`; pushes with `labels` labels altogether are
    /// held at most, fewer where many of their tasks were asked for, but always one.
    #[must_use]
    pub fn new(client: Client, artifacts: Artifacts, fresh: Duration, labels: u64) -> Self {
        let grown = |seen: &Seen| seen.push.graph.memory() as u64;
        let pushes = Memory::for_a_while(labels.saturating_mul(LABEL), fresh).growing(grown);
        Self { client, artifacts, pushes }
    }

    /// The push of a decision task.
    ///
    /// # Errors
    /// As [`Push::load`].
    pub async fn push(&self, decision: TaskId) -> Result<Arc<Seen>, PushError> {
        let load = async {
            let push = Push::load(&self.client, &self.artifacts, decision).await?;
            let bytes = push.graph.len() as u64 * LABEL;
            let kept = Kept {
                client: self.client.clone(),
                artifacts: self.artifacts.clone(),
                earlier: OnceCell::new(),
                known: Mutex::default(),
            };
            Ok((Arc::new(Seen { push, lookups: Lookups::Kept(Arc::new(kept)) }), bytes))
        };
        self.pushes.get(decision, Box::pin(load)).await
    }

    /// How often a push was there, and how often it had to be looked up.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        self.pushes.counts()
    }
}

impl Seen {
    /// How many bytes there are of the tasks that a request is about and of all that these need, as the push's graph has
    /// them.
    ///
    /// # Errors
    /// If that can't be read.
    pub fn weight(&self, request: &Request) -> Result<usize, PlannerError> {
        let graph = &self.push.graph;
        let known: Vec<&String> = request.labels.iter().filter(|label| graph.contains(label)).collect();
        Ok(graph.weight(&known)?)
    }

    /// Plans a request on it, by the rules of [`Policy::Graft`]. Nothing is created.
    ///
    /// # Errors
    /// As [`planner::plan`].
    pub async fn plan(&self, request: &Request) -> Result<Planned, PlannerError> {
        planner::plan(&self.lookups, &self.push, request, Policy::Graft).await
    }
}

impl Kept {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Answers all of `wants`, asking only for what is not known.
    ///
    /// # Errors
    /// As the calls.
    pub(crate) async fn answers(&self, wants: &Wants) -> Result<Answers, Error> {
        let missing = self.known().missing(wants);
        if !missing.is_empty() {
            let answers = lookup::answers(&self.client, &missing, Policy::Graft).await?;
            self.known().learn(&missing, answers);
        }
        Ok(self.known().answers(wants))
    }

    /// Earlier work on `push`, which is the one that this is about.
    ///
    /// # Errors
    /// As the calls; then the next who asks tries again.
    pub(crate) async fn earlier(&self, push: &Push) -> Result<&EarlierWork, Error> {
        let look = async {
            let (sources, notices) = history::earlier(&self.client, &self.artifacts, push, None).await?;
            Ok(EarlierWork { sources, notices })
        };
        self.earlier.get_or_try_init(|| look).await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn missing(&self, wants: &Wants) -> Wants {
        fn of<K: Ord + Clone, V>(wanted: &BTreeSet<K>, known: &BTreeMap<K, V>) -> BTreeSet<K> {
            wanted.iter().filter(|key| !known.contains_key(*key)).cloned().collect()
        }
        Wants {
            index: of(&wants.index, &self.index),
            statuses: of(&wants.statuses, &self.statuses),
            tasks: of(&wants.tasks, &self.tasks),
        }
    }

    fn learn(&mut self, asked: &Wants, mut answers: Answers) {
        self.index.extend(asked.index.iter().map(|path| (path.clone(), answers.index.remove(path))));
        self.statuses.extend(asked.statuses.iter().map(|id| (*id, answers.statuses.remove(id))));
        self.tasks.extend(asked.tasks.iter().map(|id| (*id, answers.tasks.remove(id))));
    }

    fn answers(&self, wants: &Wants) -> Answers {
        fn of<K: Ord + Clone, V: Clone>(wanted: &BTreeSet<K>, known: &BTreeMap<K, Option<V>>) -> BTreeMap<K, V> {
            wanted.iter().filter_map(|key| Some((key.clone(), known.get(key)?.clone()?))).collect()
        }
        Answers {
            index: of(&wants.index, &self.index),
            statuses: of(&wants.statuses, &self.statuses),
            tasks: of(&wants.tasks, &self.tasks),
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("decision", &self.push.decision).finish_non_exhaustive()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("client", &self.client).finish_non_exhaustive()
    }
}
