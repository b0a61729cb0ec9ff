//! Listings that come in pages.

use futures_util::{Stream, stream};
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::{Client, Error};

/// A listing that goes on this long is broken: the token never ends.
const MAX_PAGES: usize = 10_000;

/// All pages of `call`, each fetched when it is asked for; `next` reads a page's continuation token.
pub(crate) fn pages<P: DeserializeOwned + Send>(
    client: &Client,
    call: Result<Call, Error>,
    next: impl Fn(&P) -> Option<String> + Send,
) -> impl Stream<Item = Result<P, Error>> + Send {
    enum Next {
        Page(usize, Option<String>),
        End,
    }
    stream::try_unfold((Next::Page(0, None), call, next), async |(step, call, next)| {
        let Next::Page(number, token) = step else { return Ok(None) };
        let first = call.clone()?;
        if number >= MAX_PAGES {
            return Err(Error::Unreadable { call: first.name, why: format!("more than {MAX_PAGES} pages") });
        }
        let page: P = client.fetch(first.page(token.as_deref())).await?;
        let step = next(&page).map_or(Next::End, |token| Next::Page(number + 1, Some(token)));
        Ok(Some((page, (step, call, next))))
    })
}
