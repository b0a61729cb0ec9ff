//! The HTTP side: what can be called stands in tables, everything before and after a handler is here.

mod app;
mod body;
mod call;
mod common;
mod endpoint;
mod error;
mod page;
mod reply;
mod route;
mod schema;

pub(crate) use app::{App, AppError};
pub(crate) use call::Call;
pub(crate) use endpoint::{Access, Endpoint, PAGED, Query, Service};
pub(crate) use error::{ApiError, ErrorCode};
pub(crate) use page::Page;
pub(crate) use reply::Reply;
pub(crate) use schema::{Schemas, mistakes};
