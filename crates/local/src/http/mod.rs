//! The HTTP side: what can be called stands in tables, everything before and after a handler is here.

mod app;
mod body;
mod call;
mod common;
mod endpoint;
mod error;
mod listener;
mod page;
mod reply;
mod route;
mod schema;

pub use app::{App, AppError};
pub use body::MAX_BODY;
pub use call::Call;
pub use endpoint::{Access, Answer, Endpoint, Handler, Input, Method, PAGED, Query, Service};
pub use error::{ApiError, ErrorCode};
pub use listener::serve;
pub use page::Page;
pub use reply::Reply;
pub use route::BadPattern;
pub use schema::SchemaError;
