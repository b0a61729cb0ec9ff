//! Requests passed on for somebody else, as taskcluster-proxy does.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, Response};

use crate::call::Call;
use crate::transport::missed_once;
use crate::{Client, Error};

impl Client {
    /// Sends one request to `target` (path and query below the root URL, starting with `/api/`), signed with this
    /// client's credentials, and returns the answer as it is: its status, `Content-Type`, `Location` and body. Nothing is
    /// tried again, since whoever asked will.
    ///
    /// # Errors
    /// When no answer comes, or one larger than the bound; never for a status.
    pub async fn forward(&self, method: Method, target: &str, body: Option<Bytes>) -> Result<Response<Bytes>, Error> {
        let headers = http::HeaderMap::new();
        let call = Call { name: "forwarded request", method, target: target.to_owned(), body, headers };
        let (status, headers, body) = self.exchange(&call).await.map_err(|miss| missed_once(call.name, miss))?;
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        for name in [CONTENT_TYPE, LOCATION] {
            if let Some(value) = headers.get(&name) {
                answer.headers_mut().insert(name, value.clone());
            }
        }
        Ok(answer)
    }
}
