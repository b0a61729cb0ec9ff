//! The plans of this user's requests, each stored before its first task is created, until it is carried out.
//!
//! A plan is `<request>.plan.json`; what became of it, once that is final, is `<request>.report.json`. Both arrive
//! whole: written under another name, synced, renamed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use taskgraft_core::ids::{RequestId, TaskId};
use taskgraft_core::plan::{MAX_PLAN_BYTES, Plan, PlanFileError, PlanHash};
use taskgraft_core::report::Report;
use tempfile::NamedTempFile;

const PLAN: &str = ".plan.json";
const REPORT: &str = ".report.json";

/// A directory of plans.
#[derive(Debug, Clone)]
pub struct Plans {
    dir: PathBuf,
}

/// Why a plan can't be stored or found.
#[derive(Debug, thiserror::Error)]
pub enum PlansError {
    /// The file system refused.
    #[error("keep plans in {}: {error}", .path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// What is stored is no plan.
    #[error("read {}: {error}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: PlanFileError,
    },
    /// What was read back is not what was written.
    #[error("store the plan: it reads back as {read}, and was {written}")]
    NotStored {
        /// Its hash.
        written: PlanHash,
        /// The hash of what is there.
        read: PlanHash,
    },
    /// The request's id was used for something else.
    #[error("store the plan: request {0} asked for something else before; use another --request-id")]
    OtherRequest(RequestId),
    /// There is no such plan.
    #[error("find the plan {0}: there is none")]
    Unknown(String),
    /// Several plans begin like that.
    #[error("find the plan {prefix}: {count} begin like that")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many there are.
        count: usize,
    },
}

impl Plans {
    /// The plans in `dir`, which is made, for this user only, if it isn't there.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn open(dir: &Path) -> Result<Self, PlansError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(io_at(dir))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Stores a plan under its request's id and reads it back. Storing a newer plan of the same request replaces the
    /// older one, whose report no longer counts. So does any plan where the older one was only looked at.
    ///
    /// # Errors
    /// If a request of that id and for something else was begun, or the plan can't be stored.
    pub fn save(&self, plan: &Plan) -> Result<PlanHash, PlansError> {
        let id = &plan.request.id;
        if self.begun(id)?.is_some_and(|stored| stored.request != plan.request) {
            return Err(PlansError::OtherRequest(id.clone()));
        }
        let report = self.path(id, REPORT);
        match fs::remove_file(&report) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_at(&report)(error)),
            Ok(()) | Err(_) => {}
        }
        self.write(&self.path(id, PLAN), plan.to_json().as_bytes())?;
        let written = plan.hash();
        match self.load(id)?.map(|stored| stored.hash()) {
            Some(read) if read == written => Ok(written),
            Some(read) => Err(PlansError::NotStored { written, read }),
            None => Err(PlansError::Unknown(id.to_string())),
        }
    }

    /// The plan of a request, if one is stored.
    ///
    /// # Errors
    /// If it can't be read or is no plan.
    pub fn load(&self, id: &RequestId) -> Result<Option<Plan>, PlansError> {
        read(&self.path(id, PLAN))
    }

    /// The same if the request was begun: a plan that was only looked at has no report.
    ///
    /// # Errors
    /// If it can't be read or is no plan.
    pub fn begun(&self, id: &RequestId) -> Result<Option<Plan>, PlansError> {
        if self.report(id)?.is_some() { self.load(id) } else { Ok(None) }
    }

    /// Removes plans that were stored longer than `keep` ago, unless they were begun and not finished.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn tidy(&self, keep: Duration) -> Result<(), PlansError> {
        for entry in fs::read_dir(&self.dir).map_err(io_at(&self.dir))? {
            let path = entry.map_err(io_at(&self.dir))?.path();
            let Some(id) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(PLAN)?.parse().ok()) else {
                continue;
            };
            let stored = fs::metadata(&path).and_then(|metadata| metadata.modified()).map_err(io_at(&path))?;
            if stored.elapsed().is_ok_and(|age| age > keep) && !self.is_unfinished(&id) {
                // Another process may have been faster.
                let _ = fs::remove_file(self.path(&id, REPORT));
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    /// The plan whose hash begins with `prefix`.
    ///
    /// # Errors
    /// If there is none, or several.
    pub fn find(&self, prefix: &str) -> Result<Plan, PlansError> {
        let prefix = prefix.to_ascii_lowercase();
        let mut found: Vec<Plan> = self.all()?.into_iter().filter(|plan| fits(plan, &prefix)).collect();
        match (found.pop(), found.len()) {
            (None, _) => Err(PlansError::Unknown(prefix)),
            (Some(plan), 0) => Ok(plan),
            (Some(_), more) => Err(PlansError::Ambiguous { prefix, count: more + 1 }),
        }
    }

    /// Requests for `group` that were begun and not finished, oldest first.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn unfinished(&self, group: TaskId) -> Result<Vec<Plan>, PlansError> {
        let mut plans = self.all()?;
        plans.retain(|plan| plan.request.group == Some(group) && self.is_unfinished(&plan.request.id));
        plans.sort_by_key(|plan| plan.made);
        Ok(plans)
    }

    /// Notes what became of a request, or, before the first task is created, that nothing did yet: a plan whose report
    /// says that it is unfinished was begun.
    ///
    /// # Errors
    /// If that can't be written.
    pub fn note(&self, report: &Report) -> Result<(), PlansError> {
        let path = self.path(&report.request, REPORT);
        let text = serde_json::to_vec_pretty(report).map_err(|error| io_at(&path)(error.into()))?;
        self.write(&path, &text)
    }

    /// What became of a request, as far as was noted.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn report(&self, id: &RequestId) -> Result<Option<Report>, PlansError> {
        let path = self.path(id, REPORT);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| io_at(&path)(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_at(&path)(error)),
        }
    }

    fn is_unfinished(&self, id: &RequestId) -> bool {
        matches!(self.report(id), Ok(Some(report)) if report.result.is_resumable())
    }

    /// Every plan that can be read. One that can't is somebody's older or newer version, and not in the way.
    fn all(&self) -> Result<Vec<Plan>, PlansError> {
        let mut plans = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(io_at(&self.dir))? {
            let path = entry.map_err(io_at(&self.dir))?.path();
            let is_plan = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(PLAN));
            if is_plan && let Ok(Some(plan)) = read(&path) {
                plans.push(plan);
            }
        }
        Ok(plans)
    }

    fn path(&self, id: &RequestId, ending: &str) -> PathBuf {
        self.dir.join(format!("{id}{ending}"))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), PlansError> {
        let write = || {
            let mut file = NamedTempFile::new_in(&self.dir)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            // The name is safe only once the directory is.
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(io_at(path))
    }
}

fn fits(plan: &Plan, prefix: &str) -> bool {
    !prefix.is_empty() && plan.hash().to_string().starts_with(prefix)
}

fn read(path: &Path) -> Result<Option<Plan>, PlansError> {
    match fs::metadata(path).and_then(|metadata| {
        let max = MAX_PLAN_BYTES as u64;
        if metadata.len() > max { Err(io::ErrorKind::FileTooLarge.into()) } else { fs::read(path) }
    }) {
        Ok(bytes) => Plan::read(&bytes).map(Some).map_err(|error| PlansError::File { path: path.to_owned(), error }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_at(path)(error)),
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> PlansError {
    move |error| PlansError::Io { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use taskgraft_core::report::Terminal;

    use super::*;
    use taskgraft_core::plan::{PLAN_VERSION, Policy, Request};

    fn plan(label: &str) -> Plan {
        let id: RequestId = "mine".parse().unwrap();
        let group = Some(TaskId::from_bytes([1; 16]));
        Plan {
            version: PLAN_VERSION,
            policy: Policy::Graft,
            made: "2026-11-22T12:00:00Z".parse::<jiff::Timestamp>().unwrap().into(),
            request: Request::add(id, group, group, &[label.to_owned()]),
            root_url: "https://tc.example.com".to_owned(),
            proxy_url: None,
            scheduler_id: Some("lander-level-3".to_owned()),
            verdicts: Vec::new(),
            tasks: Vec::new(),
            stand_ins: Vec::new(),
            elsewhere: Vec::new(),
            tend: Vec::new(),
            index_tasks: None,
            warnings: Vec::new(),
        }
    }

    fn report(plan: &Plan, result: Terminal) -> Report {
        let (request, group) = (plan.request.id.clone(), TaskId::from_bytes([1; 16]));
        let (tasks, mended, refused) = (Vec::new(), Vec::new(), Vec::new());
        Report { request, group, result, tasks, mended, refused, tended: Vec::new(), warnings: Vec::new() }
    }

    #[test]
    fn a_look_reserves_no_id_and_a_beginning_does() {
        let dir = tempfile::tempdir().unwrap();
        let plans = Plans::open(dir.path()).unwrap();
        plans.save(&plan("a")).unwrap();
        plans.save(&plan("b")).unwrap();
        plans.note(&report(&plan("b"), Terminal::Unfinished)).unwrap();
        assert!(matches!(plans.save(&plan("a")), Err(PlansError::OtherRequest(_))));
    }

    #[test]
    fn tidying_leaves_what_is_unfinished_and_what_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let plans = Plans::open(dir.path()).unwrap();
        let plan = plan("a");
        plans.save(&plan).unwrap();
        plans.tidy(Duration::from_secs(3600)).unwrap();
        plans.note(&report(&plan, Terminal::Unfinished)).unwrap();
        plans.tidy(Duration::ZERO).unwrap();
        assert!(plans.begun(&plan.request.id).unwrap().is_some());
        // Other credentials can finish it.
        plans.note(&report(&plan, Terminal::Forbidden)).unwrap();
        plans.tidy(Duration::ZERO).unwrap();
        assert!(plans.begun(&plan.request.id).unwrap().is_some());
        plans.note(&report(&plan, Terminal::Done)).unwrap();
        plans.tidy(Duration::ZERO).unwrap();
        assert!(plans.load(&plan.request.id).unwrap().is_none());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_no_plan_is_named_and_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let plans = Plans::open(dir.path()).unwrap();
        fs::write(dir.path().join("R1.plan.json"), b"{\"version\": 999}").unwrap();
        let error = plans.load(&"R1".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("R1.plan.json") && error.to_string().contains("999"), "{error}");
        assert!(matches!(plans.load(&"R2".parse().unwrap()), Ok(None)));
        assert!(matches!(plans.find("00"), Err(PlansError::Unknown(_))));
        assert!(plans.unfinished(TaskId::from_bytes([0; 16])).unwrap().is_empty());
    }
}
