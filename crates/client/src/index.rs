//! The index service.

use std::collections::HashMap;

use futures_util::{Stream, TryStreamExt as _};
use http::Method;
use taskgraft_core::api::index::{
    FindTasksAtIndexRequest, IndexedTask, InsertTaskRequest, ListNamespacesResponse, ListTasksResponse, Namespace,
};

use crate::call::Call;
use crate::pages::pages;
use crate::{Client, Error};

/// The index, through a [`Client`].
#[derive(Debug, Clone, Copy)]
pub struct Index<'a> {
    client: &'a Client,
}

impl<'a> Index<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    fn call(name: &'static str, method: Method, path: &[&str]) -> Result<Call, Error> {
        Call::new(name, method, "index", path)
    }

    /// What is at an index path.
    ///
    /// # Errors
    /// As any call; 404 when nothing is.
    pub async fn find_task(self, path: &str) -> Result<IndexedTask, Error> {
        self.client.fetch(Self::call("findTask", Method::GET, &["task", path])?).await
    }

    /// What is at many index paths at once; those where nothing is are left out.
    ///
    /// # Errors
    /// As any call.
    pub async fn find_tasks_at_index(self, paths: &[String]) -> Result<HashMap<String, IndexedTask>, Error> {
        let request = FindTasksAtIndexRequest { indexes: paths.to_vec() };
        let call = Self::call("findTasksAtIndex", Method::POST, &["tasks", "indexes"]);
        let call = call.and_then(|call| call.json(&request));
        let pages = pages(self.client, call, |page: &ListTasksResponse| page.continuation_token.clone());
        let collect = |mut found: HashMap<_, _>, page: ListTasksResponse| async move {
            found.extend(page.tasks.into_iter().map(|task| (task.namespace.clone(), task)));
            Ok(found)
        };
        pages.try_fold(HashMap::new(), collect).await
    }

    /// The tasks directly below a path.
    ///
    /// # Errors
    /// As any call.
    pub async fn list_tasks(self, path: &str) -> Result<Vec<IndexedTask>, Error> {
        let call = Self::call("listTasks", Method::GET, &["tasks", path]);
        let pages = pages(self.client, call, |page: &ListTasksResponse| page.continuation_token.clone());
        let collect = |mut all: Vec<_>, page: ListTasksResponse| async move {
            all.extend(page.tasks);
            Ok(all)
        };
        pages.try_fold(Vec::new(), collect).await
    }

    /// The namespaces directly below a path, sorted by name; the empty path is the root.
    ///
    /// # Errors
    /// As any call.
    pub async fn list_namespaces(self, path: &str) -> Result<Vec<Namespace>, Error> {
        let collect = |mut all: Vec<_>, page: ListNamespacesResponse| async move {
            all.extend(page.namespaces);
            Ok(all)
        };
        self.namespaces(path).try_fold(Vec::new(), collect).await
    }

    /// The same page by page, each asked for when it is wanted: there may be more than one wants to read.
    pub fn namespaces(self, path: &str) -> impl Stream<Item = Result<ListNamespacesResponse, Error>> + Send + use<'a> {
        let call = match path {
            "" => Self::call("listNamespaces", Method::GET, &["namespaces"]).map(Call::with_slash),
            _ => Self::call("listNamespaces", Method::GET, &["namespaces", path]),
        };
        pages(self.client, call, |page: &ListNamespacesResponse| page.continuation_token.clone())
    }

    /// Puts a task at an index path. A lower rank than what is there changes nothing.
    ///
    /// # Errors
    /// As any call.
    pub async fn insert_task(self, path: &str, request: &InsertTaskRequest) -> Result<IndexedTask, Error> {
        self.client.fetch(Self::call("insertTask", Method::PUT, &["task", path])?.json(request)?).await
    }
}
