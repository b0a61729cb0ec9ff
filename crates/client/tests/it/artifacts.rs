use taskgraft_client::{Error, Upload};

use crate::server::{Say, Server};

#[tokio::test]
async fn redirects_are_followed_without_credentials_and_breaks_start_anew() {
    let redirect = Say::With(302, &[("location", "/elsewhere")], bytes::Bytes::new());
    let found = Say::With(200, &[("content-encoding", "gzip")], bytes::Bytes::from_static(b"packed"));
    let server = Server::start([redirect.clone(), Say::Break, redirect, found]).await;
    let (client, _) = server.client();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let download = client.download(&server.url("/a"), &path, 6).await.unwrap();
    assert_eq!((download.bytes, download.encoding.as_deref()), (6, Some("gzip")));
    assert_eq!(std::fs::read(&path).unwrap(), b"packed");
    let got = server.got();
    assert_eq!(got.iter().map(|got| got.target.as_str()).collect::<Vec<_>>(), ["/a", "/elsewhere", "/a", "/elsewhere"]);
    assert!(got.iter().all(|got| got.signed.is_none()));
}

#[tokio::test]
async fn downloads_are_bounded_and_redirects_end() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start([Say::With(200, &[], vec![b'x'; 11].into())]).await;
    let (client, _) = server.client();
    let error = client.download(&server.url("/a"), &dir.path().join("a"), 10).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    let server = Server::start([Say::With(302, &[("location", "/a")], bytes::Bytes::new())]).await;
    let (client, _) = server.client();
    let error = client.download(&server.url("/a"), &dir.path().join("a"), 10).await.unwrap_err();
    assert!(error.to_string().contains("redirects"), "{error}");
}

#[tokio::test]
async fn a_download_that_stalls_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start([Say::Stall, Say::Json(200, "contents")]).await;
    let (client, _) = server.client();
    let path = dir.path().join("a");
    client.download(&server.url("/a"), &path, 8).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"contents");
    assert_eq!(server.got().len(), 2);
}

#[tokio::test]
async fn a_file_is_uploaded_whole_on_each_try() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, b"contents").unwrap();
    let server = Server::start([Say::Json(500, ""), Say::Json(200, "")]).await;
    let (client, _) = server.client();
    client.upload(&server.url("/put"), "text/plain", Upload::File(&path)).await.unwrap();
    let got = server.got();
    assert_eq!(got.len(), 2);
    assert!(got.iter().all(|got| got.method == "PUT" && &got.body[..] == b"contents" && got.signed.is_none()));
}
