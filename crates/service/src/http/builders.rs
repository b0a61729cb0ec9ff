//! What of a preview is for Buildbot: the builders that it names, which would be forced.

use std::collections::HashSet;

use serde::Serialize;
use taskgraft_core::glob::Glob;
use taskgraft_core::plan::Plan;
use taskgraft_engine::Push;

use super::app::App;
use super::problem::{Kind, Problem};
use crate::buildbot::{self, Builders, offers, split};

/// A plan, and what is done beside it; no plan where nothing but builders is named.
#[derive(Serialize)]
pub(super) struct Foreseen<'p> {
    #[serde(flatten)]
    pub(super) plan: Option<&'p Plan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) buildbot: Option<&'p Named>,
}

/// The builders that a preview names.
#[derive(Serialize)]
pub(super) struct Named {
    /// Those that would be forced.
    builds: Vec<Foreseeable>,
    /// Masters that don't answer now: what they have is not known.
    away: Vec<String>,
}

/// A builder that would be forced.
#[derive(Serialize)]
struct Foreseeable {
    master: String,
    builder: String,
    copies: u32,
    /// Whether its master says that it can be; else the configuration allows it, and its master doesn't answer.
    known: bool,
}

/// Takes the names of builders out of `names`, and says which they are; none where no name may be one. As in a request, a
/// label of the push is nothing else; a pattern means labels.
///
/// # Errors
/// If they make more builds than one request may have forced.
pub(super) async fn take(
    app: &App,
    push: &Push,
    names: &mut Vec<String>,
    copies: u32,
) -> Result<Option<Named>, Problem> {
    let masters = app.masters.of(push.parameters.text("project").unwrap_or_default());
    let is_label = |name: &str| push.graph.contains(name) || Glob::is_pattern(name);
    if masters.is_empty() || names.iter().all(|name| is_label(name)) {
        return Ok(None);
    }
    let offers = offers(masters).await;
    let split = split(names, is_label, &offers);
    let builders: usize = split.builders.values().map(Vec::len).sum();
    let comes_to = builders.saturating_mul(usize::try_from(copies).unwrap_or(usize::MAX));
    buildbot::bounded(comes_to).map_err(|many| {
        Problem::new(Kind::NoPlan, format!("failed to {many}"))
            .at("labels")
            .out("ask for fewer builders, or for fewer times")
    })?;
    let (mut builds, mut away) = (Vec::new(), Vec::new());
    for (at, (master, offer)) in masters.iter().zip(&offers).enumerate() {
        let (known, name) = (matches!(offer, Builders::Named(_)), master.name());
        if !known {
            away.push(name.to_owned());
        }
        let named = split.builders.get(&at).into_iter().flatten().cloned();
        builds.extend(named.map(|builder| Foreseeable { master: name.to_owned(), builder, copies, known }));
    }
    let builders: HashSet<&str> = builds.iter().map(|build| build.builder.as_str()).collect();
    names.retain(|name| !builders.contains(name.as_str()));
    Ok((!builds.is_empty() || !away.is_empty()).then_some(Named { builds, away }))
}
