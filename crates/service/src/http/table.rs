//! Everything that is served, in a table.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Response};

use super::app::App;
use super::call::Call;
use super::problem::Problem;
use super::{events, health, jobs, openapi, plan, pushes, requests};

/// Where the API begins.
pub(super) const BASE: &str = "/api/taskgraft/v1";

/// What an endpoint gives.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Problem>> + Send>>;

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever watches over the service: not counted against anybody's rate.
    Operator,
    /// Anybody, so many times a second.
    Anybody,
    /// Who signs the call. Whether it was let through or refused, it is written down for later.
    Signed,
}

/// One endpoint.
pub(super) struct Endpoint {
    /// Its name in metrics, and its operationId.
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// Its path; `{…}` stands for one segment.
    pub(super) path: &'static str,
    /// The query parameters that it knows.
    pub(super) query: &'static [&'static str],
    pub(super) access: Access,
    pub(super) run: fn(Arc<App>, Call) -> Answer,
}

/// The query parameters that choose among a push's jobs.
const CHOICE: &[&str] = &["search", "match", "state", "kind", "platform", "limit", "cursor"];

/// All endpoints.
pub(super) static ENDPOINTS: [Endpoint; 15] = [
    get("openapi", "/api/taskgraft/v1/openapi.json", &[], |app, call| Box::pin(openapi::document(app, call))),
    get("listPushes", "/api/taskgraft/v1/pushes", &["project", "limit", "cursor"], |app, call| {
        Box::pin(pushes::list(app, call))
    }),
    get("push", "/api/taskgraft/v1/pushes/{push}", &[], |app, call| Box::pin(pushes::one(app, call))),
    get("listJobs", "/api/taskgraft/v1/pushes/{push}/jobs", CHOICE, |app, call| Box::pin(jobs::list(app, call))),
    get("jobFacets", "/api/taskgraft/v1/pushes/{push}/facets", CHOICE.split_at(5).0, |app, call| {
        Box::pin(jobs::facets(app, call))
    }),
    Endpoint {
        name: "plan",
        method: Method::POST,
        path: "/api/taskgraft/v1/plan",
        query: &[],
        access: Access::Anybody,
        run: |app, call| Box::pin(plan::plan(app, call)),
    },
    get(
        "listRequests",
        "/api/taskgraft/v1/requests",
        &["state", "project", "asker", "push", "key", "limit", "cursor"],
        |app, call| Box::pin(requests::list(app, call)),
    ),
    post("ask", "/api/taskgraft/v1/requests", &["wait"], |app, call| Box::pin(requests::ask(app, call))),
    get("request", "/api/taskgraft/v1/requests/{id}", &["wait"], |app, call| Box::pin(requests::one(app, call))),
    post("cancel", "/api/taskgraft/v1/requests/{id}/cancel", &["wait"], |app, call| {
        Box::pin(requests::cancel(app, call))
    }),
    get("requestLog", "/api/taskgraft/v1/requests/{id}/log", &["limit", "cursor"], |app, call| {
        Box::pin(requests::log(app, call))
    }),
    get("events", "/api/taskgraft/v1/events", &["request", "group", "after"], |app, call| {
        Box::pin(events::follow(app, call))
    }),
    operator("live", "/live", |app, call| Box::pin(health::live(app, call))),
    operator("ready", "/ready", |app, call| Box::pin(health::ready(app, call))),
    operator("metrics", "/metrics", |app, call| Box::pin(health::metrics(app, call))),
];

const fn get(
    name: &'static str,
    path: &'static str,
    query: &'static [&'static str],
    run: fn(Arc<App>, Call) -> Answer,
) -> Endpoint {
    Endpoint { name, method: Method::GET, path, query, access: Access::Anybody, run }
}

const fn post(
    name: &'static str,
    path: &'static str,
    query: &'static [&'static str],
    run: fn(Arc<App>, Call) -> Answer,
) -> Endpoint {
    Endpoint { name, method: Method::POST, path, query, access: Access::Signed, run }
}

const fn operator(name: &'static str, path: &'static str, run: fn(Arc<App>, Call) -> Answer) -> Endpoint {
    Endpoint { name, method: Method::GET, path, query: &[], access: Access::Operator, run }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_describes_exactly_what_is_served() {
        let document: serde_json::Value = serde_json::from_str(openapi::DOCUMENT).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in ["get", "post", "put", "delete"] {
                let Some(operation) = item.get(method) else { continue };
                let of = |list: &serde_json::Value| list.as_array().cloned().unwrap_or_default();
                let parameters = of(&item["parameters"]).into_iter().chain(of(&operation["parameters"]));
                let query: BTreeSet<String> = parameters
                    .map(|parameter| match parameter["$ref"].as_str() {
                        Some(at) => document.pointer(at.strip_prefix('#').unwrap()).unwrap().clone(),
                        None => parameter,
                    })
                    .filter(|parameter| parameter["in"] == "query")
                    .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                    .collect();
                let name = operation["operationId"].as_str().unwrap().to_owned();
                let signed = operation.get("security").is_some();
                described.insert((method.to_uppercase(), path.clone(), name, query, signed));
            }
        }
        let served = ENDPOINTS.iter().map(|endpoint| {
            let query = endpoint.query.iter().map(|name| (*name).to_owned()).collect();
            let signed = endpoint.access == Access::Signed;
            (endpoint.method.to_string(), endpoint.path.to_owned(), endpoint.name.to_owned(), query, signed)
        });
        assert_eq!(described, served.collect::<BTreeSet<_>>());
    }

    #[test]
    fn the_api_stands_below_its_base() {
        for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.access != Access::Operator) {
            assert!(endpoint.path.starts_with(BASE), "{}", endpoint.path);
        }
    }
}
