//! Roles: what `assume:<roleId>` adds to a set of scopes.
//!
//! A role whose id ends in `*` is held by whoever holds any `assume:` scope that it is a prefix of, and `<..>` in its
//! scopes stands for what came in place of the `*`. Roles must not form a cycle; since even roles without one can
//! multiply the scopes they add at every step, an expansion is bounded.

use std::collections::{BTreeMap, HashSet};

use super::{covers, normalize};

/// The most scopes that an expansion may come to.
pub const MAX_EXPANDED_SCOPES: usize = 10_000;

/// The most bytes that the scopes of an expansion may have together.
const MAX_EXPANDED_BYTES: usize = 4 << 20;

const PREFIX: &str = "assume:";
const PARAMETER: &str = "<..>";

/// Why a set of roles, or an expansion, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    /// `<..>` stands twice in one scope.
    #[error("parameterized scope '{0}' contains multiple '<..>'")]
    ManyParameters(String),
    /// `*<..>` at the end of a scope: it could not be told whether the star is one.
    #[error("parameterized scope '{0}' ends with '*<..>' which implies an ambiguous kleene")]
    AmbiguousStar(String),
    /// Roles lead back to themselves; the role ids on the way, the first one last again.
    #[error("roles form a cycle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// More than [`MAX_EXPANDED_SCOPES`], or too many bytes of them.
    #[error("roles expand to more than {MAX_EXPANDED_SCOPES} scopes")]
    TooMany,
}

#[derive(Debug, Clone)]
struct Role {
    /// The role's id without its `*`.
    id: String,
    star: bool,
    scopes: Vec<String>,
}

/// A set of roles that has no cycle, ready to expand scopes.
#[derive(Debug, Clone, Default)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Takes pairs of role id and scopes; refuses ambiguous parameters and cycles.
    pub fn new<I, S>(roles: impl IntoIterator<Item = (I, Vec<S>)>) -> Result<Self, RolesError>
    where
        I: AsRef<str>,
        S: Into<String>,
    {
        let mut all = Vec::new();
        for (id, scopes) in roles {
            let id = id.as_ref();
            let role = Role {
                id: id.strip_suffix('*').unwrap_or(id).to_owned(),
                star: id.ends_with('*'),
                scopes: scopes.into_iter().map(Into::into).collect(),
            };
            role.check_parameters()?;
            all.push(role);
        }
        let roles = Self(all);
        roles.check_cycles()?;
        Ok(roles)
    }

    /// The scopes given and all that their roles add, normalised.
    ///
    /// # Errors
    /// [`RolesError::TooMany`] when it comes to more than [`MAX_EXPANDED_SCOPES`].
    pub fn expand<S: Into<String>>(&self, scopes: impl IntoIterator<Item = S>) -> Result<Vec<String>, RolesError> {
        let mut queue: Vec<String> = scopes.into_iter().map(Into::into).collect();
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        let mut bytes = 0;
        while let Some(scope) = queue.pop() {
            if !seen.insert(scope.clone()) {
                continue;
            }
            bytes += scope.len();
            if seen.len() > MAX_EXPANDED_SCOPES || bytes > MAX_EXPANDED_BYTES {
                return Err(RolesError::TooMany);
            }
            if let Some(assumed) = assumed(&scope) {
                for role in &self.0 {
                    if let Some(parameter) = role.matched(assumed) {
                        queue.extend(role.scopes.iter().map(|scope| role.scope_for(scope, parameter)));
                    }
                }
            }
            found.push(scope);
        }
        Ok(normalize(found))
    }

    /// Depth first, with every parameter at its widest: whatever `<..>` stands for later, its roles are among these.
    fn check_cycles(&self) -> Result<(), RolesError> {
        let after: Vec<Vec<usize>> = self.0.iter().map(|role| self.reached_by(role)).collect();
        let mut done = vec![false; self.0.len()];
        for start in 0..self.0.len() {
            // The way from `start`: (role, how many of those it reaches were followed).
            let mut path = vec![(start, 0)];
            let mut on_path = BTreeMap::from([(start, ())]);
            while let Some((role, followed)) = path.last_mut() {
                let role = *role;
                let Some(&next) = after[role].get(*followed).filter(|_| !done[role]) else {
                    done[role] = true;
                    on_path.remove(&role);
                    path.pop();
                    continue;
                };
                *followed += 1;
                if on_path.contains_key(&next) {
                    let cycle = path.iter().map(|(role, _)| *role).skip_while(|role| *role != next);
                    return Err(RolesError::Cycle(cycle.chain([next]).map(|role| self.0[role].name()).collect()));
                }
                on_path.insert(next, ());
                path.push((next, 0));
            }
        }
        Ok(())
    }

    fn reached_by(&self, role: &Role) -> Vec<usize> {
        let scopes: Vec<String> = role.scopes.iter().map(|scope| role.scope_for(scope, "*")).collect();
        let reached = |other: &Role| scopes.iter().filter_map(|s| assumed(s)).any(|s| other.matched(s).is_some());
        (0..self.0.len()).filter(|at| reached(&self.0[*at])).collect()
    }
}

impl Role {
    fn name(&self) -> String {
        format!("{}{}", self.id, if self.star { "*" } else { "" })
    }

    fn check_parameters(&self) -> Result<(), RolesError> {
        for scope in self.scopes.iter().filter(|_| self.star) {
            match scope.split_once(PARAMETER) {
                Some((_, rest)) if rest.contains(PARAMETER) => return Err(RolesError::ManyParameters(scope.clone())),
                Some((start, "")) if start.ends_with('*') => return Err(RolesError::AmbiguousStar(scope.clone())),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// What `<..>` stands for when this role is assumed through `assumed`, `None` if it is not.
    fn matched<'a>(&self, assumed: &'a str) -> Option<&'a str> {
        if assumed.strip_suffix('*').is_some_and(|prefix| self.id.starts_with(prefix)) {
            return Some("*");
        }
        match self.star {
            true => assumed.strip_prefix(self.id.as_str()),
            false => (assumed == self.id).then_some(""),
        }
    }

    fn scope_for(&self, scope: &str, parameter: &str) -> String {
        match scope.split_once(PARAMETER).filter(|_| self.star) {
            None => scope.to_owned(),
            // What follows the parameter is swallowed by a star.
            Some((start, _)) if parameter.ends_with('*') => format!("{start}{parameter}"),
            Some((start, end)) => format!("{start}{parameter}{end}"),
        }
    }
}

/// The role ids that a scope assumes, as a pattern: `assume:x*` is `x*`, and `ass*` is `*`.
fn assumed(scope: &str) -> Option<&str> {
    match scope.strip_prefix(PREFIX) {
        Some(id) => Some(id),
        None => (scope.ends_with('*') && covers(scope, PREFIX)).then_some("*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(list: &[(&str, &[&str])]) -> Result<Roles, RolesError> {
        Roles::new(list.iter().map(|(id, scopes)| (*id, scopes.to_vec())))
    }

    fn expand(list: &[(&str, &[&str])], scopes: &[&str]) -> Vec<String> {
        roles(list).unwrap().expand(scopes.iter().copied()).unwrap()
    }

    const ROLES: &[(&str, &[&str])] =
        &[("one", &["one:a", "one:d"]), ("s/*", &["assume:one", "s:<..>"]), ("s/lit", &["lit"])];

    #[test]
    fn roles_expand_as_a_real_deployment_does() {
        assert_eq!(expand(ROLES, &["assume:one"]), ["assume:one", "one:a", "one:d"]);
        assert_eq!(expand(ROLES, &["assume:s/xy"]), ["assume:one", "assume:s/xy", "one:a", "one:d", "s:xy"]);
        assert_eq!(expand(ROLES, &["assume:s/x*"]), ["assume:one", "assume:s/x*", "one:a", "one:d", "s:x*"]);
        assert_eq!(expand(ROLES, &["assume:s/lit"]), ["assume:one", "assume:s/lit", "lit", "one:a", "one:d", "s:lit"]);
        assert_eq!(expand(ROLES, &["assume:s*"]), ["assume:one", "assume:s*", "lit", "one:a", "one:d", "s:*"]);
        assert_eq!(expand(ROLES, &["ass*"]), ["ass*", "lit", "one:a", "one:d", "s:*"]);
        assert_eq!(expand(ROLES, &["*", "x"]), ["*"]);
        assert_eq!(expand(ROLES, &["assume:other", "z"]), ["assume:other", "z"]);
    }

    #[test]
    fn a_parameter_at_a_star_swallows_what_follows() {
        let list: &[(&str, &[&str])] = &[("repo:*", &["index:<..>:end"])];
        assert_eq!(expand(list, &["assume:repo:a"]), ["assume:repo:a", "index:a:end"]);
        assert_eq!(expand(list, &["assume:repo:a*"]), ["assume:repo:a*", "index:a*"]);
        assert_eq!(expand(&[("plain", &["literally:<..>"])], &["assume:plain"])[1], "literally:<..>");
    }

    #[test]
    fn cycles_are_refused_and_named() {
        let list: &[(&str, &[&str])] =
            &[("z", &[]), ("a*", &["assume:b<..>"]), ("bx", &["assume:c"]), ("c", &["assume:a1"])];
        assert_eq!(
            roles(list).map(|_| ()),
            Err(RolesError::Cycle(["a*", "bx", "c", "a*"].map(str::to_owned).to_vec()))
        );
        assert!(matches!(roles(&[("a", &["assume:a"])]), Err(RolesError::Cycle(_))));
        assert!(matches!(roles(&[("a", &["*"])]), Err(RolesError::Cycle(_))));
        assert!(
            roles(&[("a", &["assume:b"]), ("b", &["assume:c"]), ("c", &[]), ("d", &["assume:b", "assume:c"])]).is_ok()
        );
    }

    #[test]
    fn ambiguous_parameters_are_refused() {
        assert!(matches!(roles(&[("a*", &["x<..><..>"])]), Err(RolesError::ManyParameters(_))));
        assert!(matches!(roles(&[("a*", &["x*<..>"])]), Err(RolesError::AmbiguousStar(_))));
        assert!(roles(&[("a", &["x*<..>"])]).is_ok());
    }

    #[test]
    fn roles_that_multiply_are_bounded() {
        let ids: Vec<String> = (0..64).map(|n| format!("r{n:02}/*")).collect();
        let list = ids
            .iter()
            .enumerate()
            .map(|(n, id)| (id, ["x", "y"].map(|end| format!("assume:r{:02}/<..>{end}", n + 1)).to_vec()));
        let roles = Roles::new(list).unwrap();
        assert_eq!(roles.expand(["assume:r00/"]), Err(RolesError::TooMany));
        assert_eq!(roles.expand(["assume:r60/"]).map(|all| all.len()), Ok(1 + 2 + 4 + 8 + 16));
    }
}
