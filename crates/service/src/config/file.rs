//! The file as a whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use toml::de::DeTable;

use super::duration;
use super::http::Http;
use super::problem::{Invalid, Problem};
use super::project::{self, Project};
use super::pulse::Pulse;
use super::table::{Reading, Table};
use super::url::base_url;
use crate::journal;

/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;
const DAY: Duration = Duration::from_secs(86_400);
/// The longest that anything is kept.
const MAX_KEEP: Duration = Duration::from_secs(3660 * 86_400);

/// What the service is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// `root_url`: the Taskcluster deployment; none where the environment names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_url: Option<String>,
    /// `journal`: the SQLite file that requests are written down in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<PathBuf>,
    /// `[keep]`: for how long.
    pub keep: Keep,
    /// `[carry]`: how requests are carried out.
    pub carry: Carrying,
    /// `[http]`: the HTTP API.
    pub http: Http,
    /// `[log]`: what is told on the way.
    pub log: Log,
    /// `[pulse]`: the broker that is listened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulse: Option<Pulse>,
    /// `[project.NAME]`: the projects that are served, by their short names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub project: BTreeMap<String, Project>,
}

/// How long things are kept after they have come to their end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keep {
    /// `requests`: requests, with their reports and log lines.
    #[serde(serialize_with = "duration::serialize")]
    pub requests: Duration,
    /// `audit`: who asked for what, and why it was let through or not.
    #[serde(serialize_with = "duration::serialize")]
    pub audit: Duration,
    /// `letters`: messages that nobody understood.
    #[serde(serialize_with = "duration::serialize")]
    pub letters: Duration,
}

/// How requests are carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Carrying {
    /// `at_once`: how many are carried at the same time; the others wait their turn, project by project.
    pub at_once: usize,
    /// `longest_pause`: the longest pause between two looks at an action task, and between two tries while Taskcluster
    /// doesn't answer.
    #[serde(serialize_with = "duration::serialize")]
    pub longest_pause: Duration,
    /// `give_up`: after how long a request that can't be carried out because something doesn't answer has failed, and a
    /// build of one whose master doesn't.
    #[serde(serialize_with = "duration::serialize")]
    pub give_up: Duration,
}

/// How the log looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    /// `format`.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object.
    Json,
}

impl Config {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// All that is wrong with it, with the places.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_FILE_BYTES {
            return Err(Invalid(vec![Problem::new(text, 0, format!("it has more than {MAX_FILE_BYTES} bytes"))]));
        }
        let (entries, errors) = DeTable::parse_recoverable(text);
        let reading = Reading::new(text);
        for error in &errors {
            reading.problem(error.span().map_or(0, |span| span.start), error.message().to_owned());
        }
        let config = reading.root(entries.get_ref(), Self::of);
        match reading.problems() {
            problems if problems.is_empty() => Ok(config),
            problems => Err(Invalid(problems)),
        }
    }

    /// The same as a file, all defaults filled in.
    ///
    /// # Errors
    /// A path that isn't UTF-8 can't be written.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    fn of(table: &Table<'_>) -> Self {
        Self {
            root_url: table.parsed("root_url", base_url),
            journal: table.text("journal").map(PathBuf::from),
            keep: table.table("keep", Keep::read),
            carry: table.table("carry", Carrying::read),
            http: table.table("http", Http::read),
            log: table.table("log", Log::read),
            pulse: table.maybe("pulse", Pulse::read),
            project: table.named_tables("project", project::name, Project::read).into_iter().collect(),
        }
    }
}

impl From<&Keep> for journal::Keep {
    fn from(keep: &Keep) -> Self {
        Self { requests: keep.requests, letters: keep.letters, audit: keep.audit }
    }
}

impl Keep {
    fn read(table: &Table<'_>) -> Self {
        let unless_said = journal::Keep::default();
        let kept = |key, unless_said| table.duration(key, Duration::from_secs(60)..=MAX_KEEP).unwrap_or(unless_said);
        Self {
            requests: kept("requests", unless_said.requests),
            audit: kept("audit", unless_said.audit),
            letters: kept("letters", unless_said.letters),
        }
    }
}

impl Carrying {
    fn read(table: &Table<'_>) -> Self {
        let seconds = Duration::from_secs;
        Self {
            at_once: table.number("at_once", 1..=10_000).map_or(100, |number| usize::try_from(number).unwrap_or(100)),
            longest_pause: table
                .duration("longest_pause", Duration::from_millis(10)..=seconds(600))
                .unwrap_or(seconds(10)),
            give_up: table.duration("give_up", seconds(1)..=DAY * 30).unwrap_or(DAY),
        }
    }
}

impl Log {
    fn read(table: &Table<'_>) -> Self {
        let format = table.parsed("format", |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("it must be \"text\" or \"json\""),
        });
        Self { format: format.unwrap_or(LogFormat::Text) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const EXAMPLE: &str = include_str!("../../../../docs/reference/service.toml");
    const PAGE: &str = include_str!("../../../../docs/reference/service.md");

    /// Every key that is read, by way of a file that has one of each section.
    fn keys() -> BTreeSet<String> {
        let entries = DeTable::parse(EXAMPLE).unwrap();
        let reading = Reading::new(EXAMPLE);
        reading.root(entries.get_ref(), Config::of);
        reading.asked()
    }

    /// The keys that the page documents: the first column of the tables under a section's heading.
    fn documented() -> BTreeSet<String> {
        let mut section = String::new();
        let mut keys = BTreeSet::new();
        for line in PAGE.lines() {
            if let Some(heading) = line.strip_prefix("### ") {
                let name = heading.trim_matches('`').trim_matches(['[', ']']);
                section = if heading.starts_with("`[") { format!("{name}.") } else { String::new() };
                keys.extend(section.strip_suffix('.').map(str::to_owned));
            } else if let Some(row) = line.strip_prefix("| `") {
                let key = row.split('`').next().unwrap();
                if key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                    keys.insert(format!("{section}{key}"));
                }
            }
        }
        keys.remove("project.NAME");
        keys
    }

    /// The names of all that a value has in it.
    fn leaves(value: &serde_json::Value, path: &str, into: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, field) in fields {
                    let name = if path == "project" { "NAME" } else { name };
                    let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                    into.insert(path.clone());
                    leaves(field, &path, into);
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|entry| leaves(entry, path, into)),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => {}
        }
    }

    #[test]
    fn the_page_documents_every_key_and_no_other() {
        let mut keys = keys();
        keys.insert("project".to_owned());
        let mut documented = documented();
        documented.insert("project".to_owned());
        assert_eq!(documented, keys);
    }

    #[test]
    fn every_key_that_is_read_is_kept_and_every_one_that_is_kept_is_read() {
        let mut kept = BTreeSet::new();
        leaves(&serde_json::to_value(Config::read(EXAMPLE).unwrap()).unwrap(), "", &mut kept);
        kept.remove("project.NAME");
        assert_eq!(kept, keys());
    }

    #[test]
    fn what_was_understood_reads_the_same_again() {
        for text in ["", EXAMPLE] {
            let config = Config::read(text).unwrap();
            let again = config.to_toml().unwrap();
            assert_eq!(Config::read(&again), Ok(config), "{again}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let text = "\
root_ulr = \"https://tc.example.com\"
journal = 3

[http]
listen = \"everywhere\"
in_flight = 0

[keep]
audit = \"1 week\"

[project.lander]
levle = \"3\"

[project.\"a b\"]
level = \"4\"

[pulse]
url = \"amqps://ann:s3cret@pulse.example.com\"
";
        let told: Vec<String> = Config::read(text).unwrap_err().0.iter().map(Problem::to_string).collect();
        let expected = [
            "line 1, column 1: there is no key `root_ulr`: did you mean `root_url`?",
            "line 2, column 11: `journal`: a text is needed, and this is a number",
            "line 5, column 10: `http.listen`: an address and a port are needed, such as \"127.0.0.1:8080\"",
            "line 6, column 13: `http.in_flight`: it must be 1 to 100000",
            "line 9, column 9: `keep.audit`: a duration is needed, such as \"90 days\", \"30 s\"",
            "line 11, column 10: `project.lander.level`: it is missing",
            "line 12, column 1: there is no key `project.lander.levle`: did you mean `level`?",
            "line 14, column 10: `project.a b` can't be called that: 1 to 100 letters, digits, `-` and `_` are needed",
            "line 15, column 9: `project.a b.level`: it must be \"1\", \"2\", \"3\" or \"t\"",
            "line 17, column 1: `pulse.user`: it is missing",
            "line 18, column 7: `pulse.url`: it carries a password: put it into TASKGRAFT_PULSE_PASSWORD",
        ];
        assert_eq!(told, expected);
        assert!(!told.join("").contains("s3cret"));
    }

    /// What a slip of one finger makes of a word: a letter left out, two swapped, another one, one too many.
    fn slips(word: &str) -> BTreeSet<String> {
        let chars: Vec<char> = word.chars().collect();
        let mut slips = BTreeSet::new();
        for at in 0..=chars.len() {
            let (before, behind) = chars.split_at(at);
            let with = |middle: &[char], behind: &[char]| [before, middle, behind].concat().into_iter().collect();
            slips.extend(['x', 'e', '_'].map(|one| with(&[one], behind)));
            if let [first, rest @ ..] = behind {
                slips.insert(with(&[], rest));
                slips.extend(['x', 'e', '_'].map(|one| with(&[one], rest)));
                slips.extend(rest.first().map(|second| with(&[*second, *first], &rest[1..])));
            }
        }
        slips.remove(word);
        slips.remove("");
        slips
    }

    /// The words of a line that are keys, with where they begin: of a heading all but the names of projects.
    fn words(line: &str) -> Vec<(usize, &str)> {
        let end = if line.starts_with('[') { line.find(']') } else { line.find(" = ") };
        let letters = |c: char| c.is_ascii_lowercase() || c == '_';
        let Some(keys) = end.map(|end| line[..end].trim_start_matches('[')) else { return Vec::new() };
        let begin = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
        let words = keys.split('.').filter(|word| word.chars().all(letters) && *word != "lander");
        words.map(|word| (begin(word), word)).collect()
    }

    #[test]
    fn whatever_key_is_misspelt_by_one_letter_the_right_one_is_named() {
        let mut tried = BTreeSet::new();
        let mut begin = 0;
        for line in EXAMPLE.split_inclusive('\n') {
            for (at, key) in words(line) {
                tried.insert(key);
                for slip in slips(key) {
                    let mut text = EXAMPLE.to_owned();
                    text.replace_range(begin + at..begin + at + key.len(), &slip);
                    let told = Config::read(&text).unwrap_err().to_string();
                    let right = format!("{slip}`: did you mean `{key}`?");
                    assert!(told.contains(&right), "{slip} for {key}: {told}");
                }
            }
            begin += line.len();
        }
        let keys = keys();
        let last = |key: &String| key.rsplit('.').next().unwrap().to_owned();
        assert_eq!(tried.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), keys.iter().map(last).collect());
    }

    #[test]
    fn what_is_like_no_key_is_told_what_there_is() {
        let told = Config::read("[service]\nlisten = 1\n").unwrap_err().to_string();
        let there_are = "`carry`, `http`, `journal`, `keep`, `log`, `project`, `pulse`, `root_url`";
        assert!(told.contains(&format!("there is no key `service`: there are {there_are}")), "{told}");
    }

    #[test]
    fn who_is_reached_by_others_has_to_say_what_they_call() {
        for listen in ["0.0.0.0:80", "[::]:80", "192.0.2.1:8080", "[2001:db8::1]:0"] {
            let told = Config::read(&format!("http.listen = \"{listen}\"")).unwrap_err();
            assert!(told.to_string().contains("say in `http.public_url` what callers call"), "{told}");
            let named = format!("[http]\nlisten = \"{listen}\"\npublic_url = \"https://jobs.example.com\"\n");
            assert!(Config::read(&named).is_ok());
        }
        for listen in ["127.0.0.1:80", "127.9.9.9:0", "[::1]:80"] {
            assert!(Config::read(&format!("http.listen = \"{listen}\"")).is_ok());
        }
    }

    #[test]
    fn what_is_no_toml_is_told_with_all_its_places() {
        let told = Config::read("a = \n[http\nlisten = 1 2\n").unwrap_err().0;
        assert!(told.len() >= 3, "{told:?}");
        assert!(Config::read(&" ".repeat(MAX_FILE_BYTES + 1)).is_err());
    }

    #[test]
    fn a_file_without_anything_has_defaults() {
        let config = Config::read("").unwrap();
        assert_eq!((config.http.listen.port(), config.carry.at_once, config.pulse), (8080, 100, None));
        assert_eq!(journal::Keep::from(&config.keep), journal::Keep::default(), "one source of both");
        assert_eq!(config.keep, Config::read(EXAMPLE).unwrap().keep, "as is documented");
    }
}
