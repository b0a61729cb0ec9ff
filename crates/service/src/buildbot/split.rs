//! Which of the names that somebody asks for are labels of the push, and which are builders.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use taskgraft_core::glob::Glob;
use taskgraft_core::plan::nearest;

/// How many names are named that come near an unknown one, and of how many unknown ones: looking for them takes its time,
/// and nobody reads them all.
const NEAREST: usize = 3;
const LOOKED_UP: usize = 5;

/// What a master can be asked for.
#[derive(Debug, Clone)]
pub enum Builders {
    /// These.
    Named(BTreeSet<String>),
    /// It doesn't say now: what the configuration allows is taken for its, and will be reported as not forced.
    Silent(Vec<Glob>),
}

/// Names, each of which is in one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Labels of the push, in their order, as often as they were asked for.
    pub labels: Vec<String>,
    /// Builders, each once, by the place of their master in the list.
    pub builders: BTreeMap<usize, Vec<String>>,
    /// Neither, each once, with the builders that come nearest; those of the first few.
    pub unknown: BTreeMap<String, Vec<String>>,
}

/// Divides names: a label of the push is nothing else; of several masters that have a builder the first counts, and one
/// that doesn't say now has what no other has.
#[must_use]
pub fn split(names: &[String], is_label: impl Fn(&str) -> bool, masters: &[Builders]) -> Split {
    let mut split = Split::default();
    let (mut forced, mut unknown) = (HashSet::new(), BTreeSet::new());
    for name in names {
        if is_label(name) {
            split.labels.push(name.clone());
        } else if let Some(master) = home(name, masters) {
            if forced.insert(name) {
                split.builders.entry(master).or_default().push(name.clone());
            }
        } else {
            unknown.insert(name);
        }
    }
    let near =
        |name: &str| nearest(name, masters.iter().filter_map(Builders::named).flatten().map(String::as_str), NEAREST);
    let told = unknown.into_iter().enumerate();
    split.unknown = told.map(|(n, name)| (name.clone(), if n < LOOKED_UP { near(name) } else { Vec::new() })).collect();
    split
}

/// The place of the master that a builder is taken to be of.
fn home(name: &str, masters: &[Builders]) -> Option<usize> {
    let said = masters.iter().position(|builders| builders.named().is_some_and(|names| names.contains(name)));
    said.or_else(|| masters.iter().position(|builders| builders.may_have(name)))
}

impl Builders {
    fn may_have(&self, name: &str) -> bool {
        match self {
            Self::Named(_) => false,
            Self::Silent(allowed) => allowed.iter().any(|pattern| pattern.matches(name)),
        }
    }

    fn named(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Named(names) => Some(names),
            Self::Silent(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn named(names: &[&str]) -> Builders {
        Builders::Named(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_label_is_a_label_and_the_first_master_counts() {
        let masters = [named(&["both", "one"]), named(&["one", "two"])];
        let names = texts(&["two", "both", "one", "label", "one", "label", "tow"]);
        let split = split(&names, |name| matches!(name, "label" | "both"), &masters);
        assert_eq!(split.labels, ["both", "label", "label"]);
        assert_eq!(split.builders, BTreeMap::from([(0, texts(&["one"])), (1, texts(&["two"]))]));
        assert_eq!(split.unknown, BTreeMap::from([("tow".to_owned(), texts(&["two"]))]));
    }

    #[test]
    fn a_silent_master_has_what_the_configuration_allows_it() {
        let masters = [Builders::Silent(vec![Glob::new("old-*")]), named(&["new", "old-new"])];
        let split = split(&texts(&["old-x", "new", "nwe", "old-new"]), |_| false, &masters);
        assert_eq!(split.builders, BTreeMap::from([(0, texts(&["old-x"])), (1, texts(&["new", "old-new"]))]));
        assert_eq!(split.unknown, BTreeMap::from([("nwe".to_owned(), texts(&["new"]))]));
    }

    #[test]
    fn of_many_unknown_names_only_the_first_are_looked_up() {
        let names: Vec<String> = (0..500).map(|n| format!("lander-linux-{n:04}")).collect();
        let masters = [Builders::Named((0..100).map(|n| format!("lander-linux-{n:05}")).collect())];
        let split = split(&names, |_| false, &masters);
        let looked_up = split.unknown.values().filter(|near| !near.is_empty()).count();
        assert_eq!((split.unknown.len(), looked_up), (500, LOOKED_UP));
    }

    proptest! {
        #[test]
        fn every_name_is_in_one_place_whatever_it_is(
            names in prop::collection::vec("[ab%/\"\u{0}é]{0,2}", 0..12),
            builders in prop::collection::btree_set("[ab%/\"\u{0}é]{0,2}", 0..6),
        ) {
            let split = split(&names, |name| name.contains('a'), &[Builders::Named(builders.clone())]);
            for name in &names {
                let forced = split.builders.values().flatten().filter(|forced| *forced == name).count();
                let places = [split.labels.contains(name), forced == 1, split.unknown.contains_key(name)];
                prop_assert_eq!(places.iter().filter(|place| **place).count(), 1);
                prop_assert_eq!(forced == 1, !name.contains('a') && builders.contains(name));
            }
            let all = split.labels.len() + split.builders.values().flatten().count() + split.unknown.len();
            prop_assert!(all <= names.len());
        }
    }
}
