//! What can be called: each service has one table of endpoints, and nothing is served that stands in none.

use std::pin::Pin;
use std::sync::Arc;

use super::{ApiError, Call, Reply};
use crate::Ctx;

/// What a handler promises.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply, ApiError>> + Send + 'a>>;

/// A handler: an `async fn(&Ctx, &mut Call) -> Result<Reply, ApiError>`, put into a table as
/// `|ctx, call| Box::pin(handler(ctx, call))`.
pub(crate) type Handler = for<'a> fn(&'a Arc<Ctx>, &'a mut Call) -> Answer<'a>;

/// HTTP methods that endpoints have; HEAD is GET without the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create.
    Put,
    /// Change or ask.
    Post,
    /// Remove.
    Delete,
}

impl Method {
    /// The method as it stands in a request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody; credentials aren't looked at.
    Open,
    /// Holders of one scope, in which `<name>` stands for the URL parameter of that name. Checked before anything else.
    Scope(&'static str),
    /// Holders of all of several, likewise.
    All(&'static [&'static str]),
    /// The handler calls [`Call::authorize`] before it acts.
    Handler,
}

/// What an endpoint takes as body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing; a JSON body is parsed and echoed in errors, and that is all.
    Nothing,
    /// JSON that matches a schema, by its path below `schemas/`.
    Json(&'static str),
    /// Bytes, which the handler reads itself from [`Call::take_stream`].
    Stream,
}

/// A query parameter: its name and the JavaScript-style regular expression it must match.
pub(crate) type Query = (&'static str, &'static str);

/// The query of an endpoint that answers in pages, see [`Page`](super::Page).
pub(crate) const PAGED: &[Query] = &[("continuationToken", "."), ("limit", "^[0-9]+$")];

/// One entry in a service's table.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// The name that Taskcluster's references give it.
    pub name: &'static str,
    /// How it is called.
    pub method: Method,
    /// Below `/api/<service>/v1`: `<name>` is one segment, `<name?>` an optional last one, `<*name>` all the rest.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it takes as body.
    pub input: Input,
    /// What may stand in the query; anything else is refused.
    pub query: &'static [Query],
    /// A URL parameter that no error echoes.
    pub secret: Option<&'static str>,
    /// What it does.
    pub handler: Handler,
}

impl Endpoint {
    const fn new(method: Method, name: &'static str, path: &'static str, access: Access, handler: Handler) -> Self {
        Self { name, method, path, access, input: Input::Nothing, query: &[], secret: None, handler }
    }

    /// An endpoint called by GET, and by HEAD.
    #[must_use]
    pub const fn get(name: &'static str, path: &'static str, access: Access, handler: Handler) -> Self {
        Self::new(Method::Get, name, path, access, handler)
    }

    /// An endpoint called by PUT.
    #[must_use]
    pub const fn put(name: &'static str, path: &'static str, access: Access, handler: Handler) -> Self {
        Self::new(Method::Put, name, path, access, handler)
    }

    /// An endpoint called by POST.
    #[must_use]
    pub const fn post(name: &'static str, path: &'static str, access: Access, handler: Handler) -> Self {
        Self::new(Method::Post, name, path, access, handler)
    }

    /// An endpoint called by DELETE.
    #[must_use]
    pub const fn delete(name: &'static str, path: &'static str, access: Access, handler: Handler) -> Self {
        Self::new(Method::Delete, name, path, access, handler)
    }

    /// With a JSON body, by its schema's path such as `queue/v1/create-task-request.json`.
    #[must_use]
    pub const fn json(mut self, schema: &'static str) -> Self {
        self.input = Input::Json(schema);
        self
    }

    /// With a body of any bytes and size, which the handler reads.
    #[must_use]
    pub const fn stream(mut self) -> Self {
        self.input = Input::Stream;
        self
    }

    /// With a URL parameter that is a secret.
    #[must_use]
    pub const fn secret(mut self, param: &'static str) -> Self {
        self.secret = Some(param);
        self
    }

    /// With query parameters.
    #[must_use]
    pub const fn query(mut self, query: &'static [Query]) -> Self {
        self.query = query;
        self
    }
}

/// A service: what is served below `/api/<name>/v1`.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// The first part of its paths.
    pub name: &'static str,
    /// URL parameters and the JavaScript-style regular expressions they must match.
    pub params: &'static [(&'static str, &'static str)],
    /// Its own endpoints; of several that match the first one counts. `ping` and its like come on top.
    pub endpoints: &'static [Endpoint],
}
