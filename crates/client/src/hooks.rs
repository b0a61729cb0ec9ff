//! The hooks service.

use http::Method;
use serde_json::Value;
use taskgraft_core::api::hooks::TriggerHookResponse;

use crate::call::Call;
use crate::{Client, Error};

/// Hooks, through a [`Client`].
#[derive(Debug, Clone, Copy)]
pub struct Hooks<'a> {
    client: &'a Client,
}

impl<'a> Hooks<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    fn call(name: &'static str, method: Method, path: &[&str]) -> Result<Call, Error> {
        Call::new(name, method, "hooks", path)
    }

    /// Triggers a hook, whose task may use `payload` (an object). Each call makes another task, so it is sent once,
    /// whatever comes of it: after [`Error::Transient`] the caller has to find out.
    ///
    /// # Errors
    /// As any call; 404 for an unknown hook.
    pub async fn trigger_hook(self, group: &str, hook: &str, payload: &Value) -> Result<TriggerHookResponse, Error> {
        let call = Self::call("triggerHook", Method::POST, &["hooks", group, hook, "trigger"])?.json(payload)?;
        self.client.fetch_once(call).await
    }
}
