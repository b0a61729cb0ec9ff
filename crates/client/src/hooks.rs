//! The hooks service.

use futures_util::TryStreamExt as _;
use http::Method;
use serde_json::Value;
use taskgraft_core::api::hooks::{
    Hook, HookFire, HookRequest, HookStatus, ListHooksResponse, ListLastFiresResponse, TriggerHookResponse,
    TriggerToken,
};

use crate::call::Call;
use crate::pages::pages;
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

    /// A call about one hook. Its id may hold `/`, which is sent, and signed, as `%2F`.
    fn call(name: &'static str, method: Method, group: &str, hook: &str, rest: &[&str]) -> Result<Call, Error> {
        Call::new(name, method, "hooks", &[&["hooks", group, hook], rest].concat())
    }

    /// The hooks of a group.
    ///
    /// # Errors
    /// As any call; 404 for a group without hooks.
    pub async fn list_hooks(self, group: &str) -> Result<Vec<Hook>, Error> {
        let call = Call::new("listHooks", Method::GET, "hooks", &["hooks", group])?;
        Ok(self.client.fetch::<ListHooksResponse>(call).await?.hooks)
    }

    /// A hook.
    ///
    /// # Errors
    /// As any call; 404 for an unknown hook.
    pub async fn hook(self, group: &str, hook: &str) -> Result<Hook, Error> {
        self.client.fetch(Self::call("hook", Method::GET, group, hook, &[])?).await
    }

    /// Makes a hook.
    ///
    /// # Errors
    /// As any call; a conflict where there is another hook of that name.
    pub async fn create_hook(self, group: &str, hook: &str, request: &HookRequest) -> Result<Hook, Error> {
        self.client.fetch(Self::call("createHook", Method::PUT, group, hook, &[])?.json(request)?).await
    }

    /// Changes a hook.
    ///
    /// # Errors
    /// As any call; 404 for an unknown hook.
    pub async fn update_hook(self, group: &str, hook: &str, request: &HookRequest) -> Result<Hook, Error> {
        self.client.fetch(Self::call("updateHook", Method::POST, group, hook, &[])?.json(request)?).await
    }

    /// Removes a hook; that there is none is as good.
    ///
    /// # Errors
    /// As any call.
    pub async fn remove_hook(self, group: &str, hook: &str) -> Result<(), Error> {
        self.client.send(Self::call("removeHook", Method::DELETE, group, hook, &[])?).await.map(|_| ())
    }

    /// Triggers a hook, whose task may use `payload` (an object). Each call makes another task, so it is sent once,
    /// whatever comes of it: after an error that [leaves it open](Error::may_have_happened) the caller has to find out.
    ///
    /// # Errors
    /// As any call; 404 for an unknown hook.
    pub async fn trigger_hook(self, group: &str, hook: &str, payload: &Value) -> Result<TriggerHookResponse, Error> {
        let call = Self::call("triggerHook", Method::POST, group, hook, &["trigger"])?.json(payload)?;
        self.client.fetch_once(call).await
    }

    /// As [`trigger_hook`](Self::trigger_hook), by the hook's token instead of credentials.
    ///
    /// # Errors
    /// As any call; 401 for a wrong token.
    pub async fn trigger_hook_with_token(
        self,
        group: &str,
        hook: &str,
        token: &TriggerToken,
        payload: &Value,
    ) -> Result<TriggerHookResponse, Error> {
        let rest = ["trigger", &token.token];
        let call = Self::call("triggerHookWithToken", Method::POST, group, hook, &rest)?.json(payload)?;
        self.client.fetch_once(call).await
    }

    /// How a hook fired last, and when its schedule fires it next.
    ///
    /// # Errors
    /// As any call; 404 for an unknown hook.
    pub async fn status(self, group: &str, hook: &str) -> Result<HookStatus, Error> {
        self.client.fetch(Self::call("getHookStatus", Method::GET, group, hook, &["status"])?).await
    }

    /// The times that a hook fired, the latest first.
    ///
    /// # Errors
    /// As any call; 404 for a hook that never did.
    pub async fn last_fires(self, group: &str, hook: &str) -> Result<Vec<HookFire>, Error> {
        let call = Self::call("listLastFires", Method::GET, group, hook, &["last-fires"]);
        let pages = pages(self.client, call, |page: &ListLastFiresResponse| page.continuation_token.clone());
        let collect = |mut all: Vec<_>, page: ListLastFiresResponse| async move {
            all.extend(page.last_fires);
            Ok(all)
        };
        pages.try_fold(Vec::new(), collect).await
    }
}
